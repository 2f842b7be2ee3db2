"""`scorefleet schedule`: commands that run at every tick, called by what their place has for that, its timer."""

import dataclasses
import json
import os
import shlex
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from scorefleet.pipelines import due, reading
from scorefleet.pipelines.cron import Cron
from scorefleet.pipelines.due import Schedule
from scorefleet.pipelines.launchers import launcher_of
from scorefleet.pipelines.one_line_parser import OneLineParser, call
from scorefleet.pipelines.submit import order_of, refuse_secrets
from scorefleet.pipelines.timers import timer_of
from scorefleet.pipelines.timers.timer import Timer
from scorefleet.tasks.console import output
from scorefleet.tasks.errors import ServiceError, UsageError
from scorefleet.tasks.fleet.secure import secure_ray
from scorefleet.tasks.home import home_folder
from scorefleet.tasks.store import objects

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
    parser = OneLineParser("schedule add", "Have a command run at every tick.")
    parser.add_argument("name", metavar="NAME", help="Letters, digits, - and _.")
    fields = "Minute, hour, day of month, month, day of week, in local time; in UTC on Kubernetes."
    parser.add_argument("--cron", required=True, help=fields)
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
    Cron.of(cron)  # what never comes is said before anything is kept
    made = Schedule(
        cron=cron,
        missed=given.missed,
        words=checked,
        to=given.to,
        folder=str(Path.cwd()),
        path=os.environ.get("PATH", os.defpath),
        since=datetime.now().astimezone().isoformat(),  # cron's zone may be another than this one
    )
    timer = timer_of(made.to)
    objects.replace(home, due.SCHEDULE, json.dumps(dataclasses.asdict(made), indent=2).encode())
    home.chmod(0o700)
    try:
        timer.add(home, made)
    except (ServiceError, UsageError):
        (home / due.SCHEDULE).unlink()
        raise
    output(f"{given.name}: {_command(made)}, {_next(timer, home, made)}")
    return 0


def list_all(arguments: Sequence[str]) -> int:
    """`scorefleet schedule list`."""
    OneLineParser("schedule list", "Say what is to run, and when.").parse_args(arguments)
    for folder in sorted(path.parent for path in _home().glob(f"*/{due.SCHEDULE}")):
        made = due.read(folder)
        timer = timer_of(made.to)
        following = _next(timer, folder, made)
        output(f"{folder.name:<16} {made.cron:<16} {following}, last {_last(timer, folder, made):<12} {_command(made)}")
    return 0


def remove(arguments: Sequence[str]) -> int:
    """`scorefleet schedule remove`; what ran stays on record."""
    folder = _folder_of(_name_of("remove", "Have nothing run it any longer; its history stays.", arguments))
    made = due.read(folder)
    (folder / due.SCHEDULE).rename(folder / due.REMOVED)  # first, so that a tick that begins now calls no other
    try:
        goes_on = timer_of(made.to).remove(folder, made)
    except (ServiceError, UsageError):
        (folder / due.REMOVED).rename(folder / due.SCHEDULE)
        raise
    output(f"removed {folder.name}" + ("; the tick now running will finish" if goes_on else ""))
    return 0


def history(arguments: Sequence[str]) -> int:
    """`scorefleet schedule history`."""
    folder = _folder_of(_name_of("history", "Say what ran when, and how it ended.", arguments))
    made = due.read(folder, (due.SCHEDULE, due.REMOVED))
    for past in timer_of(made.to).history(folder, made):
        output(f"{past.tick}  {past.start or '-':<19}  {past.end or '-':<19}  {past.outcome:<16}  {past.log}")
    return 0


def tick(arguments: Sequence[str]) -> int:
    """What cron calls."""
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


def _next(timer: Timer, folder: Path, made: Schedule) -> str:
    try:
        following = timer.following(folder, made)
    except (ServiceError, UsageError) as error:  # of one place, which hides no other's schedule
        return f"next unknown ({error})"
    if following is None:
        return "next never (nothing here calls it)"
    return f"next at {following:%Y-%m-%d %H:%M %Z}".rstrip()  # the zone is said where it is not this machine's


def _last(timer: Timer, folder: Path, made: Schedule) -> str:
    try:
        past = [*timer.history(folder, made)]
    except (ServiceError, UsageError):
        return "unknown"
    return past[-1].outcome if past else "none yet"


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
    return Path(os.environ.get("XDG_DATA_HOME") or home_folder() / ".local" / "share") / "scorefleet" / "schedules"
