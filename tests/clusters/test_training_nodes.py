"""Training goes on, whatever becomes of its workers and nodes, and its record has every step once."""

import functools
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import safetensors.torch
import torch

from scorefleet.tasks import config
from scorefleet.tasks.ebm.training import learning_rate
from scorefleet.tasks.records.journal import Journal
from tests import hosts
from tests.clusters.train_on import BATCH_SIZE, attempts
from tests.integration import tiny
from tests.integration.conftest import wait_until

pytestmark = pytest.mark.timeout(600)

PATIENCE_S, DEADLINE_S = 200, 15
FEW, MANY = ("300", "50"), ("800", "1000000")  # steps, and those between checkpoints


def words(root: Path, num_workers: str, steps: tuple[str, str], max_failures: int = 8, *address: str) -> list[str]:
    arguments = [str(root), num_workers, *steps, str(max_failures), *address]
    return [sys.executable, "-m", "tests.clusters.train_on", *arguments]


@contextmanager
def beside(root: Path, num_workers: str, steps: tuple[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """The same training undisturbed, while the block runs, which must wait for its end."""
    root.mkdir()
    (root / "hurry").touch()
    environment = tiny.clean_environment()
    with subprocess.Popen(words(root, num_workers, steps), stderr=subprocess.PIPE, env=environment, text=True) as calm:
        try:
            yield calm
        finally:
            calm.kill()


def ended(process: "subprocess.Popen[str]", code: int) -> str:
    """What it said until its end, which is waited for."""
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, said[-3000:]
    return said


def record(root: Path) -> dict[tuple[str, int], float]:
    """The metrics of each training step, none of which is there twice."""
    entries = [entry for entry in Journal(root / "journal.jsonl").read(0)[0] if entry["kind"] == "metrics"]
    points = [((key, entry["step"]), float(value)) for entry in entries for key, value in entry["values"].items()]
    points = [(point, value) for point, value in points if point[0].startswith("train/")]
    assert len(dict(points)) == len(points)
    return dict(points)


def weights(root: Path) -> bytes:
    (path,) = root.glob("train/*/weights.safetensors")
    return path.read_bytes()


def checkpoints(root: Path) -> list[Path]:
    return sorted(root.glob("train/*/ray/step-*"))


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def test_lost_workers_leave_no_trace_and_too_many_end_in_a_line(tmp_path):
    root, undisturbed = tmp_path / "killed", tmp_path / "calm"
    run, environment = words(root, "2", FEW, 1), tiny.clean_environment()

    def is_further(num_attempts: int, num_points: int) -> bool:
        """Also that Ray has taken note of a checkpoint, which it has long done when a later step is on record."""
        if len(attempts(root)) != num_attempts or not checkpoints(root) or len(record(root)) <= num_points:
            return False
        return max(step for _, step in record(root)) > step_of(checkpoints(root)[0])

    with (
        beside(undisturbed, "2", FEW) as calm,
        subprocess.Popen(run, stderr=subprocess.PIPE, env=environment, text=True) as driver,
    ):
        for rank, num_attempts in ((1, 2), (0, 4)):
            num_points = len(record(root))
            wait_until(functools.partial(is_further, num_attempts, num_points), PATIENCE_S)
            victim = next(attempt for attempt in reversed(attempts(root)) if attempt.rank == rank)
            os.kill(victim.pid, signal.SIGKILL)
        said = ended(driver, 5)
        ended(calm, 0)
    assert "error: training lost its workers 2 times" in said
    assert "Traceback" not in said

    (root / "hurry").touch()
    (root / "journal.jsonl").unlink()  # more than a driver can lose that is killed before it has written
    again = tiny.finish(run)
    assert again.returncode == 0, again.stderr[-3000:]
    assert [attempt.first > 0 for attempt in attempts(root)] == [False] * 2 + [True] * 4
    assert weights(root) == weights(undisturbed)
    assert record(root) == record(undisturbed)


@pytest.mark.skipif(hosts.missing() is not None, reason=str(hosts.missing()))
def test_nodes_that_are_drained_join_and_are_lost_change_the_result_by_rounding_alone(tmp_path):
    root, undisturbed = tmp_path / "nodes", tmp_path / "calm"

    def are(number: int, world_size: int, first: int) -> bool:
        newest = attempts(root)[-world_size:]
        return len(attempts(root)) == number and {one[1:3] for one in newest} == {(world_size, first)}

    with beside(undisturbed, "1", MANY) as calm, hosts.running(3) as (head, spot, late):
        head.start_ray()
        spot.start_ray(head)
        address = f"{head.address}:{hosts.PORT}"
        run = words(root, "1..2", MANY, 8, address)
        driver = head.popen(*run, stderr=subprocess.PIPE, cwd=hosts.REPOSITORY)

        def wait(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
            wait_until(lambda: driver.poll() is not None or is_so(), patience_s)
            assert driver.poll() is None, driver.communicate()[1][-3000:]

        wait(lambda: are(2, 2, 0) and len(record(root)) > 0)
        ray = str(Path(sys.executable).with_name("ray"))
        notice = ("--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot")
        deadline = ("--deadline-remaining-seconds", str(DEADLINE_S))
        drain = spot.popen(ray, "drain-node", "--address", address, *notice, *deadline)
        assert drain.wait() == 0
        goes_at = time.monotonic() + DEADLINE_S
        wait(lambda: len(checkpoints(root)) == 1, DEADLINE_S)  # the only one, so all goes on from it
        step = step_of(checkpoints(root)[0])
        time.sleep(max(0.0, goes_at - time.monotonic()))
        spot.end()
        wait(lambda: are(3, 1, step))

        late.start_ray(head)
        wait(lambda: are(5, 2, step))
        late.end()
        wait(lambda: are(6, 1, step))
        (root / "hurry").touch()
        ended(driver, 0)
        ended(calm, 0)

    here, there = record(root), record(undisturbed)
    assert here == pytest.approx(there, abs=1e-5)
    ours, theirs = (safetensors.torch.load(weights(one)) for one in (root, undisturbed))
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=rounding(weight))


def rounding(weight: torch.Tensor) -> float:
    """By how much a weight may differ where another number of workers sums: docs/training.md has the derivation."""
    num_steps, peak = int(MANY[0]), config.Train().learning_rate
    rates = sum(learning_rate(step, num_steps, peak) for step in range(num_steps))
    largest = float(weight.abs().max())
    return 2**-24 * (math.sqrt(BATCH_SIZE) * math.log2(BATCH_SIZE) * rates + largest * num_steps)
