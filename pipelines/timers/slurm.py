"""Slurm's own queue: the job of the next tick waits there for its hour (`--begin`), and queues the one after it."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pipelines.cron import Cron
from pipelines.due import STAMP, Schedule
from pipelines.launchers.slurm import ENDED, Slurm, alive_of, job_of, launcher
from pipelines.launchers.slurm_folder import JobFolder
from pipelines.launchers.slurm_programs import Known, call, known
from pipelines.parcel import OWN_CODE
from pipelines.submit import tick_identity
from pipelines.timers.slurm_links import Link, link_of, links_of
from pipelines.timers.timer import Past

There = Mapping[tuple[str, str], Known]


class SlurmTimer:
    """A timer; see `timer.Timer`."""

    def __init__(self, place: Slurm):
        self._place = place

    def add(self, folder: Path, made: Schedule) -> None:
        self.queue_next(folder, made, datetime.now(), ())

    def queue_next(self, folder: Path, made: Schedule, after: datetime, holders: tuple[str, ...]) -> None:
        """Have the first tick after a time wait for its hour, and for the end of the Slurm jobs `holders`; once, though
        others did it before, or were killed while doing it.
        """
        at = Cron.of(made.cron).after(after)
        assert at is not None  # `Cron.of` takes none that never comes
        link = link_of(folder, made.since, at.strftime(STAMP))
        if link.slurm_job:
            return
        identity = tick_identity(made.words, Path(made.folder), f"{folder.name} {link.tick} {made.since}")
        number = alive_of(identity) or self._queue(link, identity, at, holders)
        if not link.claim(number, identity):
            call("scancel", number)  # another's was there first

    def _queue(self, link: Link, identity: str, at: datetime, holders: tuple[str, ...]) -> str:
        script = ["exec", "env", f"PYTHONPATH={OWN_CODE}", sys.executable, "-m", "pipelines.timers.slurm_tick"]
        when = [f"--begin={at.isoformat()}", *(f"--dependency=afterany:{number}" for number in holders)]
        return self._place.queue(identity, link.path, link.log, [*script, str(link.path)], *when)

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
                yield _past_of(link, self._place.folder_of(link.identity), there)
            elif link.end:
                code = link.end["exit_code"]
                outcome = "skipped" if code is None else f"exit code {code}"
                yield Past(link.tick, link.end["start"], link.end["end"], outcome, str(link.log))
            elif not _is_alive(link, there):
                yield Past(link.tick, None, None, "lost", str(link.log))

    def _alive(self, folder: Path, made: Schedule) -> list[Link]:
        there = known()
        return [link for link in links_of(folder, made.since) if _is_alive(link, there)]

    def _is_begun(self, link: Link) -> bool:
        return self._place.folder_of(link.identity).path.exists()


def timer(to: str | None) -> SlurmTimer:
    """That of the cluster whose programs are on the PATH."""
    return SlurmTimer(launcher(str(to)))


def _is_alive(link: Link, there: There) -> bool:
    """Whether Slurm has its job in hand."""
    state = there.get((link.slurm_job, link.identity), Known("", "")).state
    return state not in ("", *ENDED)


def _past_of(link: Link, folder: JobFolder, there: There) -> Past:
    job, run = job_of(folder, there), folder.last_run()
    outcome = {"waiting": "requeued", "failed": "lost"}.get(job.state, job.state)
    return Past(
        tick=link.tick,
        start=_local(job.start_s),
        end=_local(job.end_s),
        outcome=outcome if job.exit_code is None else f"exit code {job.exit_code}",
        log=str(folder.folder_of(run.number) / "output" if run else link.log),
    )


def _local(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds).isoformat(timespec="seconds")
