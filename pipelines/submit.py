"""`scorefleet submit` and `scorefleet jobs`: a command is sent to a cluster, once, and followed to its end."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorefleet.pipelines import reading
from scorefleet.pipelines.launchers import launcher_of
from scorefleet.pipelines.launchers.launcher import Job, Launcher
from scorefleet.pipelines.parcel import digest_of, pack
from scorefleet.tasks.config import commands
from scorefleet.tasks.console import notify, output, stream
from scorefleet.tasks.data import bundled
from scorefleet.tasks.errors import ServiceError, UsageError
from scorefleet.tasks.fleet.progress import clock
from scorefleet.tasks.records.redaction import redact
from scorefleet.tasks.store.places import place_of

DATA, TRACKING, SQLITE = "--prepare.data", "--register.tracking_uri", "sqlite:///"
STOPPED = 143  # as a command that SIGTERM ended says


@dataclass(frozen=True)
class Order:
    """What to begin: the words to run, the files beside them, and the name that equal orders share."""

    identity: str
    words: Sequence[str]
    command: str
    archive: bytes
    num_files: int
    root: str


def submit(arguments: Sequence[str], to: str, is_detached: bool, tick: str) -> int:
    """Begin `COMMAND [CONFIG.yaml] [--key value ...]` at `to` unless it is there, and return what it returns.

    A schedule gives the `tick`, by which one night's order is another than the next one's.
    """
    place = launcher_of(to)
    order = order_of(arguments, Path.cwd(), place.secret(), tick)
    job, is_new = choose(order.identity, place.jobs(), bool(tick))
    labels = {"command": order.command} | ({"tick": tick} if tick else {})
    if is_new and place.begin(job, order.words, labels, order.archive):
        _say(f"{job} is sent to {to}: {order.num_files:,} files, {len(order.archive) / 2**20:.1f} MB")
        _say(f"its root is {order.root}, a folder that all machines of the cluster must share")
    elif place.job(job).state == "done":
        _say(f"{job} has ended well already, with the same command, configuration, files and data")
        return 0
    else:
        _say(f"{job} is there already")
    if is_detached:
        _say(f"it goes on by itself; follow it: {how_to('follow', job, to)}")
        return 0
    return follow(place, job, to)


def choose(identity: str, jobs: Sequence[Job], is_tick: bool = False) -> tuple[str, bool]:
    """The job of an order, and whether it is still to begin: the last attempt, or the one after it if that failed.

    Of a tick only what was lost is begun again: what has ended is known, and the next tick comes.
    """
    attempts = {_attempt(job.identity, identity): job for job in jobs if _attempt(job.identity, identity)}
    if not attempts:
        return identity, True
    last = max(attempts)
    if is_tick and (attempts[last].state == "stopped" or attempts[last].exit_code is not None):
        return attempts[last].identity, False
    if attempts[last].state in ("failed", "stopped"):
        return f"{identity}-{last + 1}", True
    return attempts[last].identity, False


def _attempt(name: str, identity: str) -> int:
    """1 for an identity itself, 2 for `identity-2`; 0 for the name of another."""
    found = re.fullmatch(re.escape(identity) + r"(?:-(\d+))?", name)
    return int(found[1] or 1) if found else 0


def order_of(arguments: Sequence[str], folder: Path, secret: str, tick: str) -> Order:
    """Check a command here, before anything is sent, and pack what it needs."""
    if not arguments or arguments[0] not in reading.SETTINGS:
        raise UsageError(f"submit takes {', '.join(reading.SETTINGS)} and its words: submit run config.yaml --to TO")
    command = arguments[0]
    given = reading.read(command, reading.SETTINGS[command], arguments[1:])
    inside = {str(file): _inside(file.resolve(), folder) for file in given.files}
    files = [folder / name for name in inside.values()]
    refuse_secrets(given.words, files)
    places = _places(given)
    elsewhere = [word for key, place in places.items() for word in (key, place)]
    sent = [command, *(_sent(word, inside) for word in given.words), *elsewhere, "--cluster.address", "auto"]
    parcel = pack(folder, [Path(place.removeprefix(SQLITE)) for place in places.values()], files, secret)
    if tick:
        identity = tick_identity(arguments, folder, tick)
    else:
        identity = _identity(command, parcel.archive, *sent, *_stamps(places.get(DATA)))
    return Order(
        identity=identity,
        words=("-m", "scorefleet", *sent),
        command=" ".join(arguments),
        archive=parcel.archive,
        num_files=parcel.num_files,
        root=places["--root"],
    )


def tick_identity(arguments: Sequence[str], folder: Path, tick: str) -> str:
    """One job a tick, whatever becomes of its configuration, files and data before it begins."""
    return _identity(arguments[0], b"", tick, str(folder), *arguments)


def _identity(command: str, archive: bytes, *words: str) -> str:
    return f"scorefleet-{command}-{digest_of(archive, words)[:12]}"


def _places(given: reading.Given[Any]) -> dict[str, str]:
    """What lies outside of the folder that is sent, by its key: the same absolute place there as here."""
    settings, flow = given.settings, given.flow
    named = {"--root": settings.root, "--store": settings.store, "--summary": flow.summary, "--sign": flow.sign}
    if isinstance(settings, commands.Run) and not bundled.is_bundled(settings.prepare.data):
        named[DATA] = settings.prepare.data
    places = {key: place_of(place) for key, place in named.items() if place}
    uri = settings.register.tracking_uri or ""
    if uri.startswith(SQLITE):
        places[TRACKING] = SQLITE + place_of(uri.removeprefix(SQLITE))
    return places


def _stamps(data: str | None) -> list[str]:
    """What tells data of tonight from those of last night where they can be seen from here: size and time of files."""
    if data is None:
        return []
    paths = sorted(path for path in (Path(data), *Path(data).rglob("*")) if path.is_file())
    return [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths]


def _inside(file: Path, folder: Path) -> str:
    if not file.is_relative_to(folder):
        raise UsageError(f"{file} is not below {folder}, which is sent: submit from a folder that holds it")
    return file.relative_to(folder).as_posix()


def _sent(word: str, inside: Mapping[str, str]) -> str:
    """A word as it is there: the configuration, FILE or `--config=FILE`, is in the folder that is sent."""
    option, _, file = word.partition("=")
    return f"{option}={inside[file]}" if option == "--config" and file in inside else inside.get(word, word)


def refuse_secrets(words: Sequence[str], files: Sequence[Path]) -> None:
    """The words of a job can be read in the process list of its machine, and its folder by whoever uses the cluster."""
    texts = {f"the word {redact(word)!r}": word for word in words}
    texts |= {str(file): file.read_text(encoding="utf-8") for file in files}
    for what, text in texts.items():
        if redact(text) != text:
            raise UsageError(f"{what} holds a credential, and is not sent: set it in the environment of the cluster")


def follow(place: Launcher, identity: str, to: str) -> int:
    """Say what a job says, to its end, and return what it returns."""
    try:
        for text in place.output(identity):
            stream(text)
    except KeyboardInterrupt:
        _say(f"{identity} goes on; follow it again: {how_to('follow', identity, to)}")
        raise
    return exit_code_of(place.job(identity))


def exit_code_of(job: Job) -> int:
    """What the command returned; 128 and its signal where one ended it."""
    if job.state == "stopped":
        _say(f"{job.identity} was stopped")
        return STOPPED
    if job.exit_code is None:
        raise ServiceError(
            f"{job.identity} was lost ({redact(job.message)[:160]}): submit the same again, and it goes on"
        )
    _say(f"{job.identity} has ended: exit code {job.exit_code}, after {_length(job)}")
    return job.exit_code if job.exit_code >= 0 else 128 - job.exit_code


def jobs(action: str, identity: str | None, to: str) -> int:
    """`scorefleet jobs`."""
    place = launcher_of(to)
    if identity is None:
        for job in place.jobs():
            start = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.start_s)) if job.start_s else "-"
            code = "-" if job.exit_code is None else str(job.exit_code)
            output(
                f"{job.identity:<36} {job.state:<8} {start:<19} {_length(job):>8} {code:>4}  {job.command}{_waits(job)}"
            )
        return 0
    if action == "follow":
        place.job(identity)
        return follow(place, identity, to)
    output(f"{identity} is told to stop" if place.stop(identity) else f"{identity} had ended before")
    return 0


def _waits(job: Job) -> str:
    return f"  ({job.message})" if job.state == "waiting" and job.message else ""


def _length(job: Job) -> str:
    return clock((job.end_s or time.time()) - job.start_s) if job.start_s else "-"


def how_to(action: str, identity: str, to: str) -> str:
    return f"scorefleet jobs {action} {identity} --to {to}"


def _say(line: str) -> None:
    notify(line)
