"""`scorefleet schedule`: commands that the user's cron runs, here or by submission to a cluster."""

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from pipelines import crontab, due, reading
from pipelines.cron import Cron
from pipelines.due import Schedule, Tick
from pipelines.launchers import launcher_of
from pipelines.one_line_parser import OneLineParser, call
from pipelines.parcel import OWN_CODE
from pipelines.submit import order_of, refuse_secrets
from tasks.errors import ServiceError, UsageError
from tasks.secure import secure_ray
from tasks.store import objects

USAGE = """usage: scorefleet schedule add NAME --cron "0 3 * * *" [--missed run|skip] [--to TO] COMMAND [WORDS]
       scorefleet schedule list
       scorefleet schedule remove NAME
       scorefleet schedule history NAME

COMMAND is run, retrain, generate or sample; with --to it is submitted to a cluster. A tick that was
missed (the machine was off, or the one before was still running) is caught up as soon as can be, the last one alone
(run, the default), or left out (skip)."""


def schedule(arguments: Sequence[str]) -> int:
    """`scorefleet schedule`."""
    return call(ACTIONS, USAGE, arguments)


def add(arguments: Sequence[str]) -> int:
    """`scorefleet schedule add`."""
    parser = OneLineParser("schedule add", "Have cron run a command.")
    parser.add_argument("name", metavar="NAME", help="Letters, digits, - and _.")
    parser.add_argument("--cron", required=True, help="Minute, hour, day of month, month, day of week, in local time.")
    parser.add_argument("--missed", choices=("run", "skip"), default="run", help="What becomes of a missed tick.")
    parser.add_argument("--to", metavar="TO", help="The cluster that it is submitted to; this machine if not given.")
    given, words = parser.parse_known_args(arguments)
    home = _folder_of(given.name)
    if (home / due.SCHEDULE).exists():
        raise UsageError(f"there is a schedule {given.name!r} already: `scorefleet schedule remove {given.name}` first")
    checked = _checked(words)
    if given.to is not None:
        secure_ray(is_own=False)
        order_of(
            checked, Path.cwd(), launcher_of(given.to).secret(), ""
        )  # what cannot be sent is said now, and not at night
    cron = " ".join(given.cron.split())
    made = Schedule(
        cron=cron,
        missed=given.missed,
        words=checked,
        to=given.to,
        folder=str(Path.cwd()),
        path=os.environ.get("PATH", os.defpath),
        since=datetime.now().astimezone().isoformat(timespec="seconds"),  # cron's zone may be another than this one
    )
    following = Cron.of(cron).after(datetime.now())
    objects.replace(home, due.SCHEDULE, json.dumps(dataclasses.asdict(made), indent=2).encode())
    home.chmod(0o700)
    command = ["env", f"PYTHONPATH={OWN_CODE}", sys.executable, "-m", "pipelines.cli", "schedule", "tick", str(home)]
    lines = crontab.lines_of(given.name, cron, command, made.missed == "run")
    try:
        crontab.change(home.parent, lambda ours: ours | {given.name: lines})
    except ServiceError:
        (home / due.SCHEDULE).unlink()
        raise
    print(f"{given.name}: {_command(made)}, next at {following:%Y-%m-%d %H:%M}")
    return 0


def list_all(arguments: Sequence[str]) -> int:
    """`scorefleet schedule list`."""
    OneLineParser("schedule list", "Say what cron is told to run.").parse_args(arguments)
    for name in sorted(crontab.scheduled(crontab.read())):
        folder = _folder_of(name)
        made, past = due.read(folder), [*due.ticks(folder)]
        following = Cron.of(made.cron).after(datetime.now())
        last = _outcome(folder, past[-1]) if past else "none yet"
        print(f"{name:<16} {made.cron:<16} next {following:%Y-%m-%d %H:%M}, last {last:<12} {_command(made)}")
    return 0


def remove(arguments: Sequence[str]) -> int:
    """`scorefleet schedule remove`; what ran stays on record."""
    name = _name_of("remove", "Have cron run it no longer; its history stays.", arguments)
    if name not in crontab.scheduled(crontab.read()):
        due.read(_folder_of(name))
    crontab.change(_home(), lambda ours: {key: lines for key, lines in ours.items() if key != name})
    (_folder_of(name) / due.SCHEDULE).unlink(missing_ok=True)
    print(f"{name} is removed" + ("; its tick that is running goes on" if due.is_running(_folder_of(name)) else ""))
    return 0


def history(arguments: Sequence[str]) -> int:
    """`scorefleet schedule history`."""
    folder = _folder_of(_name_of("history", "Say what ran when, and how it ended.", arguments))
    if not (folder / due.TICKS).is_dir():
        due.read(folder)
    for tick in due.ticks(folder):
        print(f"{tick.name}  {tick.start or '-':<19}  {tick.end or '-':<19}  {_outcome(folder, tick):<16}  {tick.log}")
    return 0


def tick(arguments: Sequence[str]) -> int:
    """What cron runs."""
    parser = OneLineParser("schedule tick", "Run the tick that is due, if none has begun it.")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="Where the schedule is kept.")
    return due.run_due(parser.parse_args(arguments).folder)


ACTIONS: dict[str, Callable[[Sequence[str]], int]] = {
    "add": add,
    "list": list_all,
    "remove": remove,
    "history": history,
    "tick": tick,
}


def _checked(words: Sequence[str]) -> tuple[str, ...]:
    """The words of a command that can be, with what the environment says now."""
    if not words or words[0] not in reading.SETTINGS:
        raise UsageError(
            f"schedule add takes {', '.join(reading.SETTINGS)} and its words, but got {shlex.join(words)!r}"
        )
    given = reading.read(words[0], reading.SETTINGS[words[0]], words[1:])
    refuse_secrets(given.words, given.files)
    return (words[0], *given.words)


def _outcome(folder: Path, tick: Tick) -> str:
    if tick.start is None:
        return "skipped"
    if tick.exit_code is not None:
        return f"exit code {tick.exit_code}"
    return "running" if due.is_running(folder) else "killed"


def _command(made: Schedule) -> str:
    return shlex.join(made.words) + (f" to {made.to}" if made.to else "")


def _name_of(action: str, description: str, arguments: Sequence[str]) -> str:
    parser = OneLineParser(f"schedule {action}", description)
    parser.add_argument("name", metavar="NAME", help="The schedule.")
    return parser.parse_args(arguments).name


def _folder_of(name: str) -> Path:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"NAME must be letters, digits, - and _, but got {name!r}")
    return _home() / name


def _home() -> Path:
    """Where schedules and what they did are kept."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "scorefleet" / "schedules"
