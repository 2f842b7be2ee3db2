"""The links of a chain of Slurm jobs: a folder for each tick, with the schedule, on a file system that nodes share.

    slurm/SINCE/TICK/queued.json   the number of the Slurm job that runs it, and its name; from who comes first
    slurm/SINCE/TICK/next.json     the tick after it, chosen once, whenever and however often its job begins
    slurm/SINCE/TICK/end.json      how it ended where no job of scorefleet came of it: left out, or refused

SINCE tells a schedule from another that had its name before; `slurm.log` is what Slurm says of them all.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from scorefleet.pipelines.due import STAMP
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import objects

CHAIN = "slurm"


@dataclass(frozen=True)
class Link:
    """One of them, by its folder; every file is put down whole, once."""

    path: Path

    @property
    def tick(self) -> str:
        return self.path.name

    @property
    def at(self) -> datetime:
        """Its hour, in local time."""
        return datetime.strptime(self.tick, STAMP)

    @property
    def since(self) -> str:
        return self.path.parent.name

    @property
    def schedule(self) -> Path:
        """The folder of its schedule."""
        return self.path.parents[2]

    @property
    def log(self) -> Path:
        """What Slurm, and every link before its job has begun, say."""
        return self.schedule / "slurm.log"

    @property
    def slurm_job(self) -> str:
        """The number of its Slurm job; "" where none was queued."""
        return self._read("queued").get("slurm_job", "")

    @property
    def identity(self) -> str:
        """The name of its job."""
        return self._read("queued").get("identity", "")

    @property
    def end(self) -> dict[str, Any]:
        """`start_s`, `end_s` and `exit_code` of what ended without a job, None where it was left out; else nothing."""
        return self._read("end")

    def claim(self, number: str, identity: str) -> bool:
        """Whether this Slurm job is the one that runs it, as it stays when it is requeued."""
        if not self.slurm_job:
            self._put("queued", slurm_job=number, identity=identity)
        return self.slurm_job == number

    def choose_next(self, tick: str) -> str:
        """The tick after this one: the first that was chosen."""
        with suppress(StorageError):  # a disk that is full must not end the chain
            self._put("next", tick=tick)
        return self._read("next").get("tick", tick)

    def finish(self, start_s: float | None, end_s: float | None, exit_code: int | None) -> None:
        """It ended without a job."""
        self._put("end", start_s=start_s, end_s=end_s, exit_code=exit_code)

    def _put(self, name: str, **fields: Any) -> None:
        objects.put_if_absent(objects.open_store(str(self.path)), f"{name}.json", json.dumps(fields).encode())

    def _read(self, name: str) -> dict[str, Any]:
        with suppress(FileNotFoundError):
            return json.loads((self.path / f"{name}.json").read_bytes())
        return {}


def link_of(schedule: Path, since: str, tick: str) -> Link:
    """That of a tick."""
    return Link(schedule / CHAIN / since / tick)


def links_of(schedule: Path, since: str = "*") -> Iterator[Link]:
    """All that were queued, or those of one schedule that had the name; the oldest tick first."""
    found = (path.parent for path in (schedule / CHAIN).glob(f"{since}/*/queued.json"))
    yield from sorted(map(Link, found), key=lambda link: (link.tick, link.since))
