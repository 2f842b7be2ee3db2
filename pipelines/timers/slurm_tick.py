"""What Slurm runs at the hour of a tick: `python -m pipelines.timers.slurm_tick LINK`, a folder of `slurm_links`.

The next tick is queued first, so that whatever becomes of this one the chain goes on. Then the command is packed from
its own folder as it is now, and runs as any other job on Slurm does.
"""

import os
import sys
from datetime import datetime
from pathlib import Path

from pipelines import due
from pipelines.cron import Cron
from pipelines.due import Schedule
from pipelines.launchers import slurm, slurm_job
from pipelines.launchers.launcher import patiently
from pipelines.launchers.slurm import Slurm
from pipelines.submit import order_of
from pipelines.timers.slurm import timer
from pipelines.timers.slurm_links import Link, links_of
from tasks.errors import ServiceError, UsageError, UserError
from tasks.secure import secure_ray

PATIENCE_S = 120.0
"""How long Slurm's controller may give no answer before the next tick is left to be queued at the end of this one."""


def main(link: Link, number: str, identity: str) -> int:
    """Run the tick of a link in the Slurm job of that number and name; what its command returned."""
    made = schedule_of(link)
    if made is None or not link.claim(number, identity):
        print(f"{link.tick} is not this job's to run: the schedule was removed, or another job has it", flush=True)
        return 0
    is_queued = _queue_next(link, made)
    code = _run(link, made)
    if not is_queued:
        _queue_next(link, made)
    return code


def schedule_of(link: Link) -> Schedule | None:
    """None where it was removed, or added anew."""
    try:
        made = due.read(link.schedule)
    except UsageError:
        return None
    return made if made.since == link.since else None


def _queue_next(link: Link, made: Schedule) -> bool:
    after = max(datetime.now(), link.at)  # this node's clock may be behind the controller's
    try:
        patiently(lambda: timer(made.to).queue_next(link.schedule, made, after, (link.slurm_job,)), PATIENCE_S)
    except (ServiceError, UsageError) as error:
        print(f"scorefleet: the tick after {link.tick} is not in Slurm's queue: {error}", flush=True)
        return False
    return True


def _run(link: Link, made: Schedule) -> int:
    place = slurm.launcher(str(made.to))
    job, start = place.folder_of(link.identity), _now()
    if not job.path.exists():  # it is there where this one was requeued
        if made.missed == "skip" and was_missed(link, made, place):
            link.finish(start=None, end=None, exit_code=None)
            return 0
        try:
            due.require_folder(made, link.schedule.name)
            os.chdir(made.folder)
            order = order_of(made.words, Path(made.folder), "", link.tick)
        except UserError as error:
            print(f"scorefleet: {error}", flush=True)
            link.finish(start=start, end=_now(), exit_code=error.exit_code)
            return error.exit_code
        place.adopt(link.identity, order.words, {"command": order.command}, order.archive, link.slurm_job)
    return slurm_job.main(job.path)


def was_missed(link: Link, made: Schedule, place: Slurm) -> bool:
    """Whether it came due while the one before was running, or has waited until the next one came due."""
    following = Cron.of(made.cron).after(link.at)
    earlier = [other for other in links_of(link.schedule, link.since) if other.tick < link.tick]
    before = place.folder_of(earlier[-1].identity) if earlier else None
    run = before.last_run() if before and before.path.exists() else None
    has_overlapped = run is not None and (run.end_s or 0.0) > link.at.timestamp()
    return has_overlapped or (following is not None and following <= datetime.now())


def _now() -> str:
    return datetime.now().isoformat(timespec="seconds")


if __name__ == "__main__":
    secure_ray(is_own=False)
    sys.exit(main(Link(Path(sys.argv[1])), os.environ["SLURM_JOB_ID"], os.environ["SLURM_JOB_NAME"]))
