"""What Slurm runs at the hour of a tick: `python -m scorefleet.pipelines.timers.slurm_tick LINK`, a folder of
`slurm_links`.

The next tick is queued first, so that whatever becomes of this one the chain goes on. Then the command is packed from
its own folder as it is now, and runs as any other job on Slurm does.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from scorefleet.pipelines import due
from scorefleet.pipelines.cron import Cron
from scorefleet.pipelines.due import STAMP, Schedule
from scorefleet.pipelines.launchers import slurm, slurm_job
from scorefleet.pipelines.launchers.launcher import patiently
from scorefleet.pipelines.submit import order_of
from scorefleet.pipelines.timers.slurm import timer
from scorefleet.pipelines.timers.slurm_links import Link, links_of
from scorefleet.tasks.console import output
from scorefleet.tasks.errors import ServiceError, StorageError, UsageError, UserError
from scorefleet.tasks.fleet.secure import secure_ray

PATIENCE_S = 120.0
"""How long Slurm's controller may give no answer before the next tick is left to be queued at the end of this one."""


def main(link: Link, number: str, identity: str) -> int:
    """Run the tick of a link in the Slurm job of that number and name; what its command returned."""
    made = schedule_of(link)
    job = slurm.folder_of(identity)
    if made is None and job.path.exists():
        return slurm_job.main(job.path)  # requeued: what has begun goes on, though its schedule was removed
    if made is None or not _is_its(link, number, identity):
        _say(f"{link.tick} is not run by Slurm job {number}: its schedule was removed, or another job has it")
        return 0
    with _untold():
        is_queued = _queue_next(link, made, number)
    code = slurm_job.main(job.path) if job.path.exists() else _run(link, made, number, identity)
    if not is_queued and not _queue_next(link, made, number):
        code = code or ServiceError.exit_code  # Slurm's mail says so then
    return code


def schedule_of(link: Link) -> Schedule | None:
    """None where it was removed, or added anew."""
    if not (link.schedule / due.SCHEDULE).exists():
        return None
    made = due.read(link.schedule)
    return made if made.since == link.since else None


def _is_its(link: Link, number: str, identity: str) -> bool:
    try:
        return link.claim(number, identity)
    except StorageError as error:  # a disk that is full must not end the chain
        _say(f"scorefleet: {error}")
        return True


@contextmanager
def _untold() -> Iterator[None]:
    """SIGTERM, as when the job is preempted, comes only after the block."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _queue_next(link: Link, made: Schedule, number: str) -> bool:
    following = Cron.of(made.cron).after(max(datetime.now(), link.at))  # the controller's clock may be ahead
    assert following is not None
    tick, chain = link.choose_next(following.strftime(STAMP)), timer(made.to)
    try:
        patiently(lambda: chain.queue(link.schedule, made, tick, (number,)), PATIENCE_S)
        if schedule_of(link) is None:  # it was removed meanwhile
            chain.remove(link.schedule, made)
    except (ServiceError, UsageError) as error:
        _say(f"scorefleet: {tick}, the tick after {link.tick}, is not in Slurm's queue: {error}")
        return False
    return True


def _run(link: Link, made: Schedule, number: str, identity: str) -> int:
    start_s = time.time()
    try:
        if made.missed == "skip" and was_missed(link, made):
            link.finish(None, None, None)
            return 0
        due.require_folder(made, link.schedule.name)
        os.chdir(made.folder)
        order = order_of(made.words, Path(made.folder), "", link.tick)
        place = slurm.launcher(str(made.to))
        place.adopt(identity, order.words, {"command": order.command}, order.archive, number, link.log)
    except UserError as error:
        _say(f"scorefleet: {link.tick}: {error}")
        with suppress(StorageError):
            link.finish(start_s, time.time(), error.exit_code)
        return error.exit_code
    return slurm_job.main(slurm.folder_of(identity).path)


def was_missed(link: Link, made: Schedule) -> bool:
    """Whether it came due while the one before was running, or has waited until the next one came due."""
    following = Cron.of(made.cron).after(link.at)
    earlier = [other for other in links_of(link.schedule, link.since) if other.tick < link.tick]
    before = slurm.folder_of(earlier[-1].identity) if earlier else None
    run = before.last_run() if before and before.path.exists() else None
    has_overlapped = run is not None and (run.end_s or 0.0) > link.at.timestamp()
    return has_overlapped or (following is not None and following <= datetime.now())


def _say(line: str) -> None:
    output(line)


if __name__ == "__main__":
    secure_ray(is_own=False)
    sys.exit(main(Link(Path(sys.argv[1])), os.environ["SLURM_JOB_ID"], os.environ["SLURM_JOB_NAME"]))
