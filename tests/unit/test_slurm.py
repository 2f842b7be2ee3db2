"""What becomes of a job on Slurm, by what Slurm says of it and what its runs have left."""

import subprocess
import sys
from pathlib import Path

import pytest

from scorefleet.pipelines.launchers import launcher_of, slurm_node, slurm_programs
from scorefleet.pipelines.launchers.slurm import job_of
from scorefleet.pipelines.launchers.slurm_folder import JobFolder, Output
from scorefleet.pipelines.launchers.slurm_programs import Known
from scorefleet.tasks.errors import UsageError

NAME = "scorefleet-run-0123456789ab"


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """Of a job that was submitted as number 7."""
    made = JobFolder(tmp_path / NAME)
    made.path.mkdir()
    (made.path / "order.json").write_text('{"command": "run config.yaml"}')
    made.put("submitted", slurm_job="7")
    return made


def state_of(folder: JobFolder, state: str = "", name: str = NAME) -> tuple[str, int | None]:
    job = job_of(folder, {("7", name): Known(state, "Priority")} if state else {})
    return job.state, job.exit_code


def test_while_slurm_has_it_in_hand_its_word_counts(folder):
    folder.begin(0)
    folder.end(0, 143, was_told=True)  # as when it is requeued
    assert state_of(folder, "PENDING") == ("waiting", None)
    assert "Priority" in job_of(folder, {("7", NAME): Known("PENDING", "Priority")}).message
    for state in ("RUNNING", "COMPLETING", "SUSPENDED"):
        assert state_of(folder, state) == ("running", None)


def test_then_it_is_what_its_last_run_left_whether_slurm_has_forgotten_it_or_not(folder):
    folder.begin(0)
    folder.end(0, 3, was_told=False)
    assert state_of(folder) == state_of(folder, "FAILED") == ("failed", 3)
    folder.begin(1)
    assert state_of(folder, "NODE_FAIL") == ("failed", None)
    folder.end(1, 0, was_told=False)
    assert state_of(folder) == state_of(folder, "COMPLETED") == ("done", 0)
    for number in range(2, 11):
        folder.begin(number)
    folder.end(10, 5, was_told=False)
    assert state_of(folder) == ("failed", 5)


def test_another_job_that_has_its_number_by_now_is_not_it(folder):
    folder.begin(0)
    folder.end(0, 0, was_told=False)
    assert state_of(folder, "RUNNING", name="another") == ("done", 0)


def test_stopped_is_what_a_user_asked_for_and_told_to_end_is_to_go_on(folder):
    assert state_of(folder, "CANCELLED") == ("stopped", None)
    assert state_of(folder, "TIMEOUT") == ("failed", None)
    folder.begin(0)
    folder.end(0, 143, was_told=True)
    assert state_of(folder, "TIMEOUT") == ("failed", 143)
    assert "submit the same again" in job_of(folder, {}).message
    folder.put("stopped")
    assert state_of(folder, "FAILED") == ("stopped", None)
    folder.begin(1)
    folder.end(1, 0, was_told=False)
    assert state_of(folder, "COMPLETED") == ("done", 0)  # it was done before it could be stopped


def test_one_slurm_job_runs_an_order_also_when_it_is_requeued(folder):
    assert folder.claim("8")  # that of 7's submitter was lost, or 7 has not begun
    assert not folder.claim("7")
    assert folder.claim("8")
    assert folder.slurm_job() == "8"


def test_output_is_of_the_last_run_and_whole(folder):
    output = Output(folder)
    assert output.read() == ""
    folder.begin(0)
    first = folder.folder_of(0) / "output"
    first.write_bytes("one é"[:-1].encode() + "é".encode()[:1])
    assert output.read() == "one "
    with first.open("ab") as file:
        file.write("é".encode()[1:] + b" end")
    assert output.read() == "é end"
    folder.begin(1)
    (folder.folder_of(1) / "output").write_text("two")
    with first.open("ab") as file:
        file.write(b"late")
    assert output.read() == "two"
    assert output.read() == ""


def test_what_slurm_is_not_to_be_told_is_refused():
    assert launcher_of("slurm:partition=gpu,nodes=4,time=1-12:00:00").secret() == ""
    for to in (
        "slurm:",
        "slurm:wrap=id",
        "slurm:nodes",
        "slurm:nodes=",
        "slurm:nodes=2,,time=1",
        "slurm:mem=1 --wrap=id",
    ):
        with pytest.raises(UsageError, match="takes account, constraint"):
            launcher_of(to)
    with pytest.raises(UsageError, match="must be slurm or"):
        launcher_of("slurmy")


def test_where_slurm_is_not_installed_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no squeue here"):
        slurm_programs.known()


def test_a_process_that_does_not_end_is_killed_and_says_so():
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    assert slurm_node.end(process, 0.1) == 137
    process.stdout.close()


def test_the_address_of_a_node_is_the_one_that_others_reach():
    assert slurm_node.own_address("127.0.0.1") == "127.0.0.1"
    assert 1024 <= slurm_node.free_port("127.0.0.1") < 65536
