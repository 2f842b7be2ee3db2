"""What a launcher can do, and what it says of a job."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

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
