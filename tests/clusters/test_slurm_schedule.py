"""A real Slurm whose queue is the timer: each tick's job waits there for its hour and queues the next one's."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from scorefleet.pipelines.cli import main
from tests import slurm
from tests.clusters.slurm_project import Project
from tests.integration.conftest import wait_until
from tests.slurm import Slurm

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(slurm.missing() is not None, reason=str(slurm.missing())),
]

PATIENCE_S = 240
"""A minute until its hour, and then two jobs that begin a Ray each."""

SLACK_S = 15
"""In which a schedule is added before its first minute comes."""

ONCE_A_YEAR = "0 0 1 1 *"
PLAN = ("run", "--data", "sklearn:wine", "--dry-run")
REFUSES_ONCE = """#!/bin/sh
if rm {once} 2>/dev/null; then echo 'sbatch: error: Job violates accounting/QOS policy' >&2; exit 1; fi
exec {sbatch} "$@"
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with slurm.running(tmp_path_factory.mktemp("slurm")) as running:
        yield running


class Schedule:
    """One that a user has added from a folder of their own."""

    def __init__(self, project: Project, name: str):
        self.project, self.name = project, name
        self.folder = project.cluster.folder / "home/.local/share/scorefleet/schedules" / name

    def add(self, cron: str, *words: str) -> str:
        return self.say("add", self.name, "--cron", cron, "--to", "slurm:time=30", *words)

    def say(self, *words: str) -> str:
        code, said, errors = self.project.finish("schedule", *words)
        assert code == 0, errors
        return said

    def remove(self) -> str:
        return self.say("remove", self.name)

    def listed(self) -> str:
        return next(line for line in self.say("list").splitlines() if line.split()[0] == self.name)

    def history(self) -> list[list[str]]:
        """Tick, start, end, outcome and log of each."""
        return [re.split(r"\s\s+", line) for line in self.say("history", self.name).splitlines()]

    def outcomes(self) -> list[str]:
        return [past[3] for past in self.history()]

    def has_begun(self, run: int) -> bool:
        """Whether the command of the first tick is at work, in that run of its job."""
        logs = [Path(past[-1]) for past in self.history()[:1]]
        return any(f"run-{run}" in log.parts and log.exists() and "started" in log.read_text() for log in logs)

    def queued(self) -> list[str]:
        """The Slurm jobs of its links, the newest last."""
        links = sorted(self.folder.glob("slurm/*/*/queued.json"), key=lambda path: path.parent.name)
        return [re.findall(r"\d+", path.read_text())[0] for path in links]


def waiting(cluster: Slurm) -> list[str]:
    """The numbers of the jobs that wait in the queue."""
    return cluster.say("squeue", "--noheader", "--states=PENDING", "--format=%i").split()


def test_ticks_never_overlap_are_caught_up_or_skipped_and_requeued_ones_go_on(cluster):
    """The first ticks of three schedules are held up beyond the hour of the next one. Then one's job is requeued, and
    another's too, once that schedule is removed and added anew.
    """
    ran, skipped, anew = (Schedule(Project(cluster, name), name) for name in ("run", "skip", "anew"))
    (cluster.folder / "held/runs/sample/any/draws/commits").mkdir(parents=True)
    (cluster.folder / "held/runs/sample/any/draws/commits/0.json").touch()
    (ran.project.control / "hold").symlink_to(cluster.folder / "held")  # as if it had begun to commit
    first = (datetime.now() + timedelta(minutes=1, seconds=SLACK_S)).replace(second=0)
    second = first + timedelta(minutes=2)
    for one, missed in ((ran, "run"), (skipped, "skip"), (anew, "run")):
        words = ("--missed", missed, "sample", "config.yaml")
        assert f"next at {first:%Y-%m-%d %H:%M}" in one.add(f"{first.minute},{second.minute} * * * *", *words)
    wait_until(lambda: all(one.has_begun(0) for one in (ran, skipped, anew)), PATIENCE_S)
    wait_until(lambda: datetime.now() > second + timedelta(seconds=2), PATIENCE_S)
    cluster.say("scontrol", "requeue", ran.queued()[0])
    ran.project.begin_again()
    assert "the tick now running will finish" in anew.remove()
    anew.add(ONCE_A_YEAR, *PLAN)
    cluster.say("scontrol", "requeue", anew.queued()[0])
    anew.project.begin_again()
    wait_until(lambda: ran.has_begun(1) and anew.has_begun(1), PATIENCE_S)
    for one in (ran, skipped):
        assert one.outcomes() == ["running"]
        assert f"next at {second:%Y-%m-%d %H:%M}" in one.listed()
    assert waiting(cluster) == sorted((one.queued()[1] for one in (ran, skipped, anew)), key=int)
    assert f"Dependency=afterany:{anew.queued()[0]}" in cluster.say("scontrol", "show", "job", anew.queued()[1])

    (ran.project.control / "hold").unlink()
    wait_until(lambda: ran.outcomes() == ["exit code 0", "exit code 0"], PATIENCE_S)
    wait_until(lambda: skipped.outcomes() == ["exit code 0", "skipped"], PATIENCE_S)
    wait_until(lambda: anew.outcomes() == ["exit code 0"], PATIENCE_S)
    assert ran.history()[0][2] <= ran.history()[1][1]
    assert skipped.history()[1][1:3] == ["-", "-"]
    for one in (ran, skipped):
        wait_until(lambda one=one: len(one.queued()) == 3, PATIENCE_S)
        assert f"next at {first + timedelta(hours=1):%Y-%m-%d %H:%M}" in one.listed()
    for one in (ran, skipped, anew):
        assert "removed " in one.remove()
        (store,) = one.project.path.glob("runs/sample/*/draws")
        assert main(["verify", str(store)]) == 0
    assert [len(one.history()) for one in (ran, skipped, anew)] == [2, 2, 1]
    wait_until(lambda: waiting(cluster) == [], PATIENCE_S)


def test_a_chain_goes_on_through_what_fails_at_the_hour_of_a_tick(cluster):
    """A configuration that is broken, one whose queueing left no word, and an sbatch that refuses once."""
    broken, unknown, refused = (Schedule(Project(cluster, name), name) for name in ("broken", "unknown", "refused"))
    folder = cluster.folder / "programs"
    folder.mkdir()
    (folder / "sbatch").write_text(REFUSES_ONCE.format(once=folder / "once", sbatch=shutil.which("sbatch")))
    (folder / "sbatch").chmod(0o755)
    at = datetime.now() + timedelta(minutes=1, seconds=SLACK_S)
    daily = f"{at.minute} {at.hour} * * *"
    broken.add(daily, "sample", "config.yaml")
    (broken.project.path / "config.yaml").write_text("dim: many\n")
    unknown.add(daily, *PLAN)
    (record,) = unknown.folder.glob("slurm/*/*/queued.json")
    record.unlink()
    words = ("schedule", "add", "refused", "--cron", daily, "--to", "slurm:time=30", *PLAN)
    path = f"PATH={folder}:{os.environ['PATH']}"
    command = (sys.executable, "-m", "scorefleet", *words)
    assert "next at" in refused.project.end(cluster.popen("env", path, *command, folder=refused.project.path))[1]
    (folder / "once").touch()

    wait_until(lambda: unknown.outcomes() == refused.outcomes() == ["exit code 0"], PATIENCE_S)
    assert broken.outcomes() == ["exit code 2"]
    assert "dim" in Path(broken.history()[0][-1]).read_text()
    assert "is not in Slurm's queue: sbatch: error: Job violates" in refused.folder.joinpath("slurm.log").read_text()
    tomorrow = f"next at {at + timedelta(days=1):%Y-%m-%d %H:%M}"
    wait_until(lambda: tomorrow in refused.listed(), PATIENCE_S)
    for one in (broken, unknown, refused):
        assert tomorrow in one.listed()
        assert len(one.queued()) == 2
        one.remove()
    assert waiting(cluster) == []


def test_a_chain_that_somebody_broke_says_so_and_one_that_is_added_anew_is_another(cluster):
    yearly = Schedule(Project(cluster, "yearly"), "yearly")
    assert "next at " in yearly.add(ONCE_A_YEAR, *PLAN)
    (number,) = waiting(cluster)
    cluster.say("scancel", number)
    assert "next never (nothing here calls it), last none yet" in yearly.listed()
    yearly.remove()
    yearly.add(ONCE_A_YEAR, *PLAN)
    assert "next at " in yearly.listed()
    assert len(waiting(cluster)) == 1
    code, _, errors = yearly.project.finish(
        "schedule", "add", "yearly", "--cron", ONCE_A_YEAR, "--to", "slurm:time=30", *PLAN
    )
    assert (code, "there is a schedule 'yearly' already" in errors) == (2, True)
    yearly.remove()
    assert waiting(cluster) == []


def test_what_sbatch_refuses_is_one_line_and_leaves_no_schedule(cluster):
    project = Project(cluster, "refusals")
    for to, said in (("slurm:wrap=id", "takes account"), ("slurm:partition=none", "sbatch: ")):
        code, _, errors = project.finish("schedule", "add", "none", "--cron", ONCE_A_YEAR, "--to", to, *PLAN)
        assert (code, errors.count("\n")) == (2, 1), errors
        assert said in errors
    assert "none" not in project.finish("schedule", "list")[1]
    assert waiting(cluster) == []
