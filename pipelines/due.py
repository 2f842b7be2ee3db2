"""What a scheduler's call does: runs the tick that is due, once, however many schedulers call.

A tick's name is the local time for which it was set. `ticks/NAME.json`, put only if absent, says who has begun it, and
`NAME.end.json` how it ended; the lock of the schedule is held by the command itself, so that none overlaps another.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from scorefleet.pipelines.cron import Cron
from scorefleet.pipelines.parcel import OWN_CODE
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.locks import tried

Missed = Literal["run", "skip"]
TICKS, SCHEDULE, REMOVED = "ticks", "schedule.json", "removed.json"
PATIENCE_S = 0.5
"""For `is_running`, which holds the lock for a moment."""
STAMP = "%Y-%m-%dT%H%M"


@dataclass(frozen=True)
class Schedule:
    """When which words are run where: `to` is a cluster or None, `path` where programs are, `since` when it began."""

    cron: str
    missed: Missed
    words: tuple[str, ...]
    to: str | None
    folder: str
    path: str
    since: str


@dataclass(frozen=True)
class Tick:
    """A tick that was begun or skipped; without an end where it is running or was killed."""

    name: str
    host: str
    log: str
    start: str | None
    end: str | None = None
    exit_code: int | None = None


def run_due(folder: Path, now: Callable[[], datetime] = datetime.now) -> int:
    """Run what is due and was not begun; where another runs, or there is nothing, return at once."""
    schedule = read(folder)
    with tried(folder / "lock", PATIENCE_S) as descriptor:
        if descriptor is None:
            return 0
        code = 0
        while (name := due(schedule, now())) is not None:
            require_folder(schedule, folder.name)
            if not _claim(folder, name, schedule.missed):
                return code
            code = _execute(folder, name, schedule, descriptor)
            if not (folder / SCHEDULE).exists():
                return code
            schedule = read(folder)  # it may have been removed and added anew meanwhile
            if schedule.missed == "skip":
                _skip(folder, due(schedule, now()))
                return code
        return code


def require_folder(schedule: Schedule, name: str) -> None:
    """With cron a tick stays due until its folder is there again, such as one that is mounted late."""
    if not Path(schedule.folder).is_dir():
        raise UsageError(f"{schedule.folder}, where {name} runs, is not there: mount it, or remove the schedule")


def due(schedule: Schedule, now: datetime) -> str | None:
    """The name of the last tick up to `now`; None where the schedule began after it."""
    last = Cron.of(schedule.cron).before(now)
    is_after = last is not None and last.astimezone() > datetime.fromisoformat(schedule.since).astimezone()
    return last.strftime(STAMP) if last and is_after else None


def may_go_on(tick: Tick, missed: Missed, host: str) -> bool:
    """Whether who holds the lock is to begin a tick again: it was killed here, and is to be caught up."""
    return missed == "run" and tick.start is not None and tick.end is None and tick.host == host


def _claim(folder: Path, name: str, missed: Missed) -> bool:
    """Whether the tick is ours to run."""
    begun = Tick(name, socket.gethostname(), str(folder / TICKS / f"{name}.log"), _now())
    if _put(folder, f"{name}.json", asdict(begun)):
        return True
    return may_go_on(_read_tick(folder, name), missed, begun.host)


def _skip(folder: Path, name: str | None) -> None:
    """Say of a tick that came due while another ran that nobody will run it."""
    if name is not None:
        _put(folder, f"{name}.json", asdict(Tick(name, socket.gethostname(), "", None)))


def _execute(folder: Path, name: str, schedule: Schedule, descriptor: int) -> int:
    """Run the command to its end, its words in the tick's log."""
    words = list(schedule.words)
    if schedule.to is not None:
        words = ["submit", *words, "--to", schedule.to, "--tick", f"{folder.name} {name}"]
    with open(folder / TICKS / f"{name}.log", "ab", opener=_private) as log:
        done = subprocess.run(
            [sys.executable, "-m", "scorefleet", *words],
            cwd=schedule.folder,
            env=os.environ | {"PATH": schedule.path, "PYTHONPATH": str(OWN_CODE)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(descriptor,),
            check=False,
        )
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    _put(folder, f"{name}.end.json", {"end": _now(), "exit_code": code})
    return code


def _private(path: str, flags: int) -> int:
    """Only its owner reads what a command says."""
    return os.open(path, flags, 0o600)


def read(folder: Path, names: Sequence[str] = (SCHEDULE,)) -> Schedule:
    """The schedule that is kept in a folder, by the first of these names that is there."""
    for file in (folder / name for name in names):
        with suppress(FileNotFoundError):
            return _schedule_of(file)
    raise UsageError(f"there is no schedule {folder.name!r}: `scorefleet schedule list` names those that are")


def _schedule_of(file: Path) -> Schedule:
    try:
        fields: Mapping[str, Any] = json.loads(file.read_bytes())
        return Schedule(**{**fields, "words": tuple(fields["words"])})
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{file} is damaged: delete it, and add the schedule again") from None


def ticks(folder: Path) -> Iterator[Tick]:
    """All that were begun or skipped, the oldest first."""
    for path in sorted((folder / TICKS).glob("*.json")):
        if not path.name.endswith(".end.json"):
            yield _read_tick(folder, path.stem)


def is_running(folder: Path) -> bool:
    """Whether a command of the schedule holds its lock."""
    with tried(folder / "lock", 0) as descriptor:
        return descriptor is None


def _read_tick(folder: Path, name: str) -> Tick:
    end = folder / TICKS / f"{name}.end.json"
    fields = json.loads((folder / TICKS / f"{name}.json").read_bytes())
    return Tick(**(fields | (json.loads(end.read_bytes()) if end.exists() else {})))


def _put(folder: Path, name: str, fields: Mapping[str, Any]) -> bool:
    store = objects.open_store(str(folder / TICKS))
    return objects.put_if_absent(store, name, json.dumps(fields, indent=2).encode())


def _now() -> str:
    return datetime.now().isoformat(timespec="seconds")
