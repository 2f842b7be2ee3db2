"""The user's own cron on this machine: our lines in the crontab have `scorefleet.pipelines.due` run what is due."""

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from scorefleet.pipelines import crontab, due
from scorefleet.pipelines.cron import Cron
from scorefleet.pipelines.due import Schedule, Tick
from scorefleet.pipelines.parcel import OWN_CODE
from scorefleet.pipelines.timers.timer import Past


class CronTimer:
    """A timer; see `timer.Timer`."""

    def add(self, folder: Path, made: Schedule) -> None:
        code = ["env", f"PYTHONPATH={OWN_CODE}", sys.executable, "-m", "scorefleet"]
        lines = crontab.lines_of(folder.name, made.cron, [*code, "schedule", "tick", str(folder)], made.missed == "run")
        crontab.change(folder.parent, lambda ours: ours | {folder.name: lines})

    def remove(self, folder: Path, made: Schedule) -> bool:
        crontab.change(folder.parent, lambda ours: {name: lines for name, lines in ours.items() if name != folder.name})
        return due.is_running(folder)

    def following(self, folder: Path, made: Schedule) -> datetime | None:
        is_known = folder.name in crontab.scheduled(crontab.read())
        return Cron.of(made.cron).after(datetime.now()) if is_known else None

    def history(self, folder: Path, made: Schedule) -> Iterator[Past]:
        for tick in due.ticks(folder):
            yield Past(tick.name, tick.start, tick.end, _outcome(folder, tick), tick.log)


def timer(to: str | None) -> CronTimer:
    """cron, whatever the cluster to which it submits."""
    return CronTimer()


def _outcome(folder: Path, tick: Tick) -> str:
    if tick.start is None:
        return "skipped"
    if tick.exit_code is not None:
        return f"exit code {tick.exit_code}"
    return "running" if due.is_running(folder) else "killed"
