"""What a launcher can do, and what it says of a job."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from scorefleet.tasks.errors import ServiceError

PAUSE_S = 2.0
"""Before a place that gave no answer is asked again."""

T = TypeVar("T")

State = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Job:
    """One submission. Times in seconds since 1970; `exit_code` is None until the command has ended, and for good where
    it was lost with its machine, of which `message` speaks.
    """

    identity: str
    state: State
    command: str
    start_s: float | None = None
    end_s: float | None = None
    exit_code: int | None = None
    message: str = ""

    @property
    def has_ended(self) -> bool:
        return self.state in ("done", "failed", "stopped")


class Launcher(Protocol):
    """A place that runs commands. What it cannot do for want of an answer is a `ServiceError`; an identity that it does
    not know is a `UsageError`.
    """

    def secret(self) -> str:
        """What opens the place, which must not be sent there; "" where nothing of the kind does."""
        ...

    def jobs(self) -> list[Job]:
        """Those that scorefleet has begun there, the oldest first."""
        ...

    def begin(self, identity: str, words: Sequence[str], labels: Mapping[str, str], archive: bytes) -> bool:
        """Run `words` in a folder that holds what `archive` does; False where a job of that identity is there."""
        ...

    def output(self, identity: str) -> Iterator[str]:
        """What the job says, from its first word to its last, as it comes."""
        ...

    def stop(self, identity: str) -> bool:
        """End it; False where it had ended before."""
        ...

    def job(self, identity: str) -> Job:
        """How it stands."""
        ...


def patiently(ask: Callable[[], T], patience_s: float) -> T:
    """What a place answers; asked again while it gives no answer, for so long that it counts as lost."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except ServiceError as error:
            if time.monotonic() > deadline:
                message = f"no answer for {patience_s:.0f} s, and the job may go on there: {error}"
                raise ServiceError(message) from error
        time.sleep(PAUSE_S)
