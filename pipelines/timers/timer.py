"""What a timer can do: it is what the place of a schedule has already that calls at each tick."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from scorefleet.pipelines.due import Schedule


class Past(NamedTuple):
    """A tick that was begun or left out, as people read it; `start` and `end` are local times, or None."""

    tick: str
    start: str | None
    end: str | None
    outcome: str
    log: str


def local(time_s: float | None) -> str | None:
    """Seconds since 1970 as a local time."""
    return None if time_s is None else datetime.fromtimestamp(time_s).isoformat(timespec="seconds")


class Timer(Protocol):
    """`folder` is that of the schedule, whose name it bears. What the place cannot do for want of an answer is a
    `ServiceError`.
    """

    def add(self, folder: Path, made: Schedule) -> None:
        """Have the place call at every tick from now on; where this fails, nothing of it is left."""
        ...

    def remove(self, folder: Path, made: Schedule) -> bool:
        """Have it call no more; whether a tick is running, which goes on."""
        ...

    def following(self, folder: Path, made: Schedule) -> datetime | None:
        """The tick that comes next; None where the place knows nothing of the schedule (any more)."""
        ...

    def history(self, folder: Path, made: Schedule) -> Iterator[Past]:
        """What was begun or left out, the oldest first; also of a schedule that was removed."""
        ...
