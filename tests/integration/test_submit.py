"""Submission to a real Ray head: once, followed to its end, with its exit code, and to nobody without the token."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from scorefleet.pipelines.cli import main
from scorefleet.pipelines.due import SCHEDULE, Schedule, run_due, ticks
from scorefleet.pipelines.launchers import launcher_of
from scorefleet.pipelines.submit import order_of
from tests import looking
from tests.integration import ray_head
from tests.integration.conftest import wait_until
from tests.integration.ray_head import REPOSITORY, Head, status

pytestmark = pytest.mark.timeout(300)

DENSITY = "import time\ntime.sleep({sleep})\n\ndef log_density(x):\n    return -0.5 * (x**2).sum(1)\n"
SETTINGS = "target: posterior:log_density\ndim: 2\nnum_chains: 64\nnum_draws: 50\nburn_in: 10\n"


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head.running() as started:
        yield started


@pytest.fixture
def place(head: Head, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", head.token)
    return launcher_of(head.to)


@pytest.fixture
def project(place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, where the test stands."""
    (tmp_path / "posterior.py").write_text(DENSITY.format(sleep=0))
    (tmp_path / "config.yaml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def archive(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for name, text in ({"anything": ""} | files).items():
            made.writestr(name, text)
    return packed.getvalue()


def begin(place, name: str, code: str) -> bool:
    return place.begin(f"scorefleet-{name}", ("-c", code), {"command": name}, archive(sent="what was sent"))


def test_a_job_gives_all_of_its_output_and_its_exit_code(place):
    assert begin(place, "talks", "print(open('sent').read()); print('x' * 10**6); print('é end'); raise SystemExit(7)")
    output = "".join(place.output("scorefleet-talks"))
    job = place.job("scorefleet-talks")
    assert "\nwhat was sent\n" + "x" * 10**6 + "\né end\n" in output
    assert (job.state, job.exit_code, job.command) == ("failed", 7, "talks")
    assert output.count("\né end\n") == 1


def test_of_many_submissions_of_one_job_one_begins_it(place):
    with ThreadPoolExecutor(4) as pool:
        begun = list(pool.map(lambda _: begin(place, "raced", "print('once')"), range(4)))
    assert sorted(begun) == [False, False, False, True]
    assert "".join(place.output("scorefleet-raced")).count("\nonce\n") == 1
    assert [job.identity for job in place.jobs()].count("scorefleet-raced") == 1


def test_a_density_of_ones_own_is_drawn_from_there_once_and_its_draws_are_here(project, head, place, capsys):
    words = ["submit", "sample", "config.yaml", "--to", head.to]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "exit code 0" in said.err
    store = next(line.split()[1] for line in said.out.splitlines() if line.startswith("samples "))
    assert Path(store).is_relative_to(project / "runs")
    assert main(["verify", store]) == 0
    assert main(words) == 0
    assert "has ended well already" in capsys.readouterr().err
    assert main(["jobs", "--to", head.to]) == 0
    assert capsys.readouterr().out.count("sample config.yaml") == 1


def test_a_failed_job_is_begun_again_and_an_interrupted_follower_leaves_it(project, head, place, capsys):
    (project / "posterior.py").write_text(DENSITY.format(sleep=100))
    words = ["submit", "sample", "config.yaml", "--to", head.to]
    name = order_of(words[1:3], project, head.token, "").identity
    place.begin(name, ("-c", "raise SystemExit(3)"), {}, archive())
    wait_until(lambda: place.job(name).state == "failed", 30)
    assert main([*words, "--detach"]) == 0
    assert f"{name}-2 is sent to" in capsys.readouterr().err
    follower = subprocess.Popen(
        [sys.executable, "-m", "scorefleet", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert follower.stdout is not None
    assert "Running entrypoint" in follower.stdout.readline() + follower.stdout.readline()
    follower.send_signal(signal.SIGINT)
    said = follower.communicate(timeout=30)[1]
    assert follower.returncode == 130
    assert f"{name}-2 is there already" in said
    assert f"{name}-2 goes on; follow it again: scorefleet jobs follow {name}-2 --to {head.to}" in said
    assert place.job(f"{name}-2").state == "running"
    one = ("--to", head.to)
    assert main(["jobs", "stop", f"{name}-2", *one]) == 0
    assert main(["jobs", "follow", f"{name}-2", *one]) == 143
    assert main(["jobs", "stop", f"{name}-2", *one]) == 0
    assert "had ended before" in capsys.readouterr().out


def test_without_the_token_every_port_refuses_and_none_is_beyond_loopback(head, monkeypatch, capsys):
    def listeners() -> list[tuple[str, int, str]]:
        return looking.listeners(looking.family(head.process.pid))

    wait_until(lambda: len(listeners()) >= 5, 60)
    assert {address for address, _, _ in listeners()} <= {"127.0.0.1", "::1"}
    assert [status(f"{head.to}/api/jobs/", token) for token in (None, "wrong", head.token)] == [401, 403, 200]
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    assert main(["jobs", "--to", head.to]) == 5
    assert "refuses the token" in capsys.readouterr().err


def test_the_token_is_in_no_log_and_no_process_list(head):
    """After the jobs of this file; the file of the token itself is the one that has it."""
    assert looking.files_with(head.folder, head.token) == [head.folder / "token"]
    lines = looking.command_lines(looking.family(head.process.pid))
    assert any("gcs_server" in line for _, line in lines)
    assert not any(head.token in line for _, line in lines)


def test_a_cluster_that_is_not_there_or_says_nothing_is_one_line(
    monkeypatch, capsys, dead_server, stalling_server, failing_server
):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "any")
    monkeypatch.setattr("scorefleet.pipelines.launchers.ray_jobs.ANSWER_TIMEOUT_S", 1.0)
    for address in (dead_server, stalling_server, failing_server):
        assert main(["jobs", "--to", address]) == 5
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert address in lines[0]


def test_a_tick_of_a_schedule_is_one_job_whose_exit_code_is_in_its_history(head, place, tmp_path):
    words = ("run", "--data", "absent.csv")
    kept = Schedule("0 3 * * *", "run", words, head.to, str(tmp_path), os.environ["PATH"], "2026-01-01")
    folder = tmp_path / "nightly"
    folder.mkdir()
    (folder / SCHEDULE).write_text(json.dumps(dataclasses.asdict(kept)))
    for _ in range(2):
        run_due(folder, lambda: datetime(2026, 1, 1, 4))
    (tick,) = ticks(folder)
    assert (tick.name, tick.exit_code) == ("2026-01-01T0300", 3)
    assert f"scorefleet: {tmp_path}/absent.csv" in Path(tick.log).read_text()
    assert [job.exit_code for job in place.jobs() if job.command == "run --data absent.csv"] == [3]
