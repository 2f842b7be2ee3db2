"""Slurm's own queue: the job of the next tick waits there for its hour (`--begin`), and queues the one after it."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from scorefleet.pipelines.cron import Cron
from scorefleet.pipelines.due import STAMP, Schedule
from scorefleet.pipelines.launchers.slurm import ENDED, Slurm, alive_of, folder_of, job_of, launcher
from scorefleet.pipelines.launchers.slurm_folder import JobFolder
from scorefleet.pipelines.launchers.slurm_programs import Known, call, known
from scorefleet.pipelines.parcel import OWN_CODE
from scorefleet.pipelines.submit import tick_identity
from scorefleet.pipelines.timers.slurm_links import Link, link_of, links_of
from scorefleet.pipelines.timers.timer import Past, local
from scorefleet.tasks.errors import StorageError

There = Mapping[tuple[str, str], Known]


class SlurmTimer:
    """A timer; see `timer.Timer`."""

    def __init__(self, place: Slurm):
        self._place = place

    def add(self, folder: Path, made: Schedule) -> None:
        at = Cron.of(made.cron).after(datetime.now())
        assert at is not None  # `schedule add` takes none that never comes
        there = known()
        holders = [link.slurm_job for link in links_of(folder) if _is_alive(link, there)]  # of one that had the name
        self.queue(folder, made, at.strftime(STAMP), holders)

    def queue(self, folder: Path, made: Schedule, tick: str, holders: Sequence[str]) -> None:
        """Have a tick wait for its hour, and for the end of the Slurm jobs `holders`: once, though others did so or
        were killed meanwhile.
        """
        link = link_of(folder, made.since, tick)
        if link.slurm_job:
            return
        identity = tick_identity(made.words, Path(made.folder), f"{folder.name} {tick} {made.since}")
        number = alive_of(identity) or self._submit(link, identity, holders)
        try:
            is_its = link.claim(number, identity)
        except StorageError:  # its own job claims it when it begins
            return
        if not is_its:
            call("scancel", number)  # another's was there first

    def _submit(self, link: Link, identity: str, holders: Sequence[str]) -> str:
        script = ["exec", sys.executable, "-m", "scorefleet.pipelines.timers.slurm_tick", str(link.path)]
        after = [f"--dependency=afterany:{':'.join(holders)}"] if holders else []
        return self._place.queue(identity, OWN_CODE, link.log, script, f"--begin={link.at.isoformat()}", *after)

    def remove(self, folder: Path, made: Schedule) -> bool:
        for link in self._alive(folder, made):
            if not self._is_begun(link):
                call("scancel", "--state=PENDING", link.slurm_job)
                if link not in self._alive(folder, made):
                    shutil.rmtree(link.path)
        return bool(self._alive(folder, made))

    def following(self, folder: Path, made: Schedule) -> datetime | None:
        alive = self._alive(folder, made)
        waiting = [link for link in alive if not self._is_begun(link)]
        if waiting:
            return waiting[-1].at
        return Cron.of(made.cron).after(datetime.now()) if alive else None  # it is about to queue that

    def history(self, folder: Path, made: Schedule) -> Iterator[Past]:
        there = known()
        for link in links_of(folder):
            if self._is_begun(link):
                yield _past_of(link, folder_of(link.identity), there)
            elif link.end:
                start_s, end_s, code = (link.end[key] for key in ("start_s", "end_s", "exit_code"))
                outcome = "skipped" if code is None else f"exit code {code}"
                yield Past(link.tick, local(start_s), local(end_s), outcome, str(link.log))
            elif link.at <= datetime.now() and not _is_alive(link, there):
                yield Past(link.tick, None, None, "lost", str(link.log))

    def _alive(self, folder: Path, made: Schedule) -> list[Link]:
        there = known()
        return [link for link in links_of(folder, made.since) if _is_alive(link, there)]

    def _is_begun(self, link: Link) -> bool:
        return folder_of(link.identity).path.exists()


def timer(to: str | None) -> SlurmTimer:
    """That of the cluster whose programs are on the PATH."""
    assert to is not None
    return SlurmTimer(launcher(to))


def _is_alive(link: Link, there: There) -> bool:
    """Whether Slurm has its job in hand."""
    state = there.get((link.slurm_job, link.identity), Known("", "")).state
    return state not in ("", *ENDED)


def _past_of(link: Link, folder: JobFolder, there: There) -> Past:
    job, run = job_of(folder, there), folder.last_run()
    outcome = {"waiting": "requeued", "failed": "lost"}.get(job.state, job.state)
    return Past(
        tick=link.tick,
        start=local(job.start_s),
        end=local(job.end_s),
        outcome=outcome if job.exit_code is None else f"exit code {job.exit_code}",
        log=str(folder.folder_of(run.number) / "output" if run else link.log),
    )
