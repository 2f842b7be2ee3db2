"""A real Slurm of two nodes: what is submitted runs once, is cut short, stopped, requeued and cut off, and loses
nothing.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from scorefleet.pipelines.cli import main
from tests import looking, slurm
from tests.clusters.slurm_project import PATIENCE_S, SUBMIT, Project
from tests.integration.conftest import wait_until
from tests.slurm import Slurm

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(slurm.missing() is not None, reason=str(slurm.missing())),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with slurm.running(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture
def closed(cluster: Slurm) -> Iterator[None]:
    """The partition takes jobs and starts none."""
    cluster.say("scontrol", "update", "PartitionName=main", "State=DOWN")
    yield
    cluster.say("scontrol", "update", "PartitionName=main", "State=UP")


@pytest.fixture
def held(cluster: Slurm, request: pytest.FixtureRequest) -> Project:
    """A project whose chains are held up after the first commit, while there is a link `hold`."""
    made = Project(cluster, request.node.name)
    (made.control / "hold").unlink(missing_ok=True)
    (made.control / "hold").symlink_to(made.path)
    return made


class Twice(NamedTuple):
    """What came of the same command, given twice at once."""

    project: Project
    ends: list[tuple[int, str, str]]
    visible: str
    holders: list[Path]
    token: str


@pytest.fixture(scope="module")
def twice(cluster: Slurm) -> Twice:
    """On both nodes; while it runs, all is looked at that others than its user might see."""
    project = Project(cluster, "undisturbed")
    commands = [project.start(*SUBMIT, "slurm:nodes=2,time=10") for _ in range(2)]
    wait_until(lambda: project.commits() > 0 or commands[0].poll() is not None, PATIENCE_S)
    token = (project.job() / "run-0/token").read_text()
    visible = cluster.say("scontrol", "show", "job", "--details")
    visible += cluster.say("scontrol", "write", "batch_script", project.number(), "-")
    visible += "".join(" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))
    ends = [project.end(command) for command in commands]
    return Twice(project, ends, visible, looking.files_with(cluster.folder, token), token)


def test_the_same_command_given_twice_at_once_is_one_job_on_both_nodes(twice, cluster):
    assert [end[0] for end in twice.ends] == [0, 0], twice.ends
    assert sorted(" is sent to " in said for _, _, said in twice.ends) == [False, True]
    assert all("on host1, host2\nsample   started\n" in said for _, said, _ in twice.ends)
    names = cluster.say("squeue", "--states=all", "--noheader", "--format=%j").split()
    assert names == [twice.project.job().name]
    assert {path.name for path in twice.project.control.iterdir()} == {"host1", "host2"}
    store = next(line.split()[1] for line in twice.ends[0][1].splitlines() if line.startswith("samples "))
    assert main(["verify", store]) == 0
    code, _, said = twice.project.finish(*SUBMIT, "slurm")
    assert (code, "has ended well already" in said) == (0, True)


def test_the_token_is_in_no_process_list_script_or_file_that_stays(twice):
    assert len(twice.token) == 64
    assert "slurm_job" in twice.visible
    assert twice.token not in twice.visible
    assert twice.holders == []
    assert twice.project.job().stat().st_mode & 0o077 == 0


def test_a_job_that_waits_says_why_and_is_stopped_there(twice, cluster, closed):
    project = Project(cluster, "waits")
    code, _, said = project.finish(*SUBMIT, "slurm", "--detach")
    assert code == 0, said
    follower = project.start("jobs", "follow", project.job().name, "--to", "slurm")
    assert follower.stderr is not None
    assert "reason: PartitionDown" in follower.stderr.readline()
    assert "reason: PartitionDown" in project.finish("jobs", "--to", "slurm")[1]
    assert "is told to stop" in project.finish("jobs", "stop", project.job().name, "--to", "slurm")[1]
    assert project.end(follower)[0] == 143


def test_who_is_killed_before_or_after_sbatch_leaves_an_order_that_is_one_job(cluster, closed):
    project = Project(cluster, "killed")
    assert project.finish(*SUBMIT, "slurm:partition=none")[0] == 2  # a folder that nobody submitted
    assert "is sent to" in project.finish(*SUBMIT, "slurm", "--detach")[2]
    (project.job() / "submitted.json").unlink()  # a job of which nobody took note
    assert project.finish(*SUBMIT, "slurm", "--detach")[0] == 0
    assert cluster.say("squeue", "--noheader", "--format=%j").split().count(project.job().name) == 1
    assert project.finish("jobs", "stop", project.job().name, "--to", "slurm")[0] == 0


def test_what_sbatch_refuses_is_one_line_and_is_no_job(twice, cluster):
    project = Project(cluster, "refused")
    for to, said in (
        ("slurm:time=soon", "sbatch: "),
        ("slurm:partition=none", "sbatch: "),
        ("slurm:wrap=rm", "takes account"),
    ):
        code, _, errors = project.finish(*SUBMIT, to)
        assert (code, errors.count("\n")) == (2, 1), errors
        assert said in errors
    assert project.job().name not in project.finish("jobs", "--to", "slurm")[1]


def test_a_controller_that_does_not_answer_is_one_line(cluster):
    dead = cluster.folder / "dead.conf"
    dead.write_text((cluster.folder / "slurm.conf").read_text() + "SlurmctldPort=1\nMessageTimeout=2\n")
    command = (sys.executable, "-m", "scorefleet", "jobs", "--to", "slurm")
    process = cluster.popen("env", f"SLURM_CONF={dead}", *command)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors.count("\n")) == (5, 1), errors
    assert "squeue" in errors


def test_the_exit_code_is_the_commands_and_the_next_attempt_has_a_name_of_its_own(twice, cluster):
    project = Project(cluster, "fails")
    words = ("submit", "run", "--data", str(project.path / "absent.csv"), "--to", "slurm")
    code, said, errors = project.finish(*words)
    assert code == 3, said
    assert "absent.csv" in said
    name = project.job().name
    assert f"{name} has ended: exit code 3" in errors
    wait_until(lambda: "ExitCode=3:0" in cluster.say("scontrol", "show", "job", project.number()), PATIENCE_S)
    assert f"{name}-2 is sent" in project.finish(*words, "--detach")[2]
    project.finish("jobs", "stop", f"{name}-2", "--to", "slurm")
    assert project.finish("jobs", "follow", f"{name}-2", "--to", "slurm")[0] == 143


def test_a_ray_that_dies_while_it_starts_is_begun_again(cluster):
    project = Project(cluster, "restarts")
    follower = project.start("submit", "run", "--data", str(project.path / "absent.csv"), "--to", "slurm")
    wait_until(lambda: cluster.kill("raylet"), PATIENCE_S)
    code, said, _ = project.end(follower)
    assert code == 3, said
    assert (project.job() / "run-0/ray.log").read_text().count("Ray runtime started") == 1


def test_what_is_told_to_end_or_stopped_goes_on_from_there(twice, held, cluster):
    follower = held.start(*SUBMIT, "slurm")
    wait_until(lambda: held.commits() > 0, PATIENCE_S)
    cluster.say("scancel", "--batch", "--signal=TERM", held.number())  # as Slurm does before the time limit
    code, said, errors = held.end(follower)
    assert code == 143, errors
    assert "rows are saved. Run the same command to resume." in said
    assert "Slurm told it to end" in errors

    kept = held.commits()
    follower = held.start(*SUBMIT, "slurm")
    wait_until(lambda: len(list(held.job().parent.glob(f"{held.job().name}-2/run-0/token"))) > 0, PATIENCE_S)
    assert "is told to stop" in held.finish("jobs", "stop", f"{held.job().name}-2", "--to", "slurm")[1]
    code, _, errors = held.end(follower)
    assert (code, "was stopped" in errors) == (143, True), errors
    assert "had ended before" in held.finish("jobs", "stop", f"{held.job().name}-2", "--to", "slurm")[1]

    assert held.commits() >= kept
    (held.control / "hold").unlink()
    code, said, errors = held.finish(*SUBMIT, "slurm:nodes=2")
    assert code == 0, said
    assert f"{held.job().name}-3 is sent" in errors
    assert held.shards() == twice.project.shards()
    wait_until(lambda: not cluster.living("raylet", "gcs_server"), PATIENCE_S)


def test_a_job_that_is_requeued_goes_on_and_its_runs_are_kept_apart(twice, held, cluster):
    follower = held.start(*SUBMIT, "slurm")
    wait_until(lambda: held.commits() > 0, PATIENCE_S)
    cluster.say("scontrol", "requeue", held.number())
    held.begin_again()
    wait_until(lambda: (held.job() / "run-1/start.json").exists(), PATIENCE_S)
    (held.control / "hold").unlink()
    code, said, errors = held.end(follower)
    assert code == 0, said + errors
    assert ", run 0, " in said
    assert ", run 1, " in said
    assert ", run 1, " not in (held.job() / "run-0/output").read_text()
    assert held.end_of(1) == 0
    assert held.shards() == twice.project.shards()


def test_a_job_that_slurm_has_forgotten_is_known_by_its_folder(twice, cluster):
    wait_until(lambda: twice.project.job().name not in cluster.say("squeue", "--states=all", "--format=%j"), PATIENCE_S)
    listed = twice.project.finish("jobs", "--to", "slurm")[1]
    assert f"{twice.project.job().name}       done " in listed


def test_a_node_that_is_cut_off_finishes_beside_the_run_that_takes_its_place(twice, held, cluster):
    """The last, since the node stays cut off."""
    follower = held.start(*SUBMIT, "slurm")
    wait_until(lambda: held.commits() > 0, PATIENCE_S)
    there = "host1" in (held.job() / "run-0/output").read_text()
    cluster.nodes[0 if there else 1].cut()
    held.begin_again()
    wait_until(lambda: (held.job() / "run-1/token").exists(), PATIENCE_S)
    assert held.end_of(0) is None
    (held.control / "hold").unlink()
    code, said, errors = held.end(follower)
    assert code == 0, said + errors
    wait_until(lambda: held.end_of(0) is not None, PATIENCE_S)
    assert (held.end_of(0), held.end_of(1)) == (0, 0)
    wait_until(lambda: not cluster.living("raylet", "gcs_server"), PATIENCE_S)
    assert held.shards() == twice.project.shards()
    (store,) = held.path.glob("runs/sample/*/draws")
    assert main(["verify", str(store)]) == 0
