"""Nodes come when workers ask for room where there is none, and go when the workers have ended."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from scorefleet.pipelines.cli import main
from tests import looking
from tests.clusters.gate import Gate
from tests.integration import ray_head, tiny
from tests.integration.conftest import wait_until
from tests.integration.ray_head import REPOSITORY, Head

pytestmark = pytest.mark.timeout(900)

IDLE_TIMEOUT_S, PATIENCE_S = 6, 300
RESOURCES = {"CPU": 1, "object_store_memory": 80_000_000}
AUTOSCALING = {
    "cluster_name": "scorefleet",
    "max_workers": 2,
    "idle_timeout_minutes": IDLE_TIMEOUT_S / 60,
    "available_node_types": {
        "ray.head.default": {"resources": {}, "node_config": {}, "max_workers": 0},
        "node": {"resources": RESOURCES, "node_config": {}, "min_workers": 0, "max_workers": 2},
    },
    "head_node_type": "ray.head.default",
}


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head.running(AUTOSCALING) as started:
        wait_until(lambda: num_nodes(started) == 1, PATIENCE_S)
        yield started


def processes(head: Head, word: str) -> list[psutil.Process]:
    """Those of a cluster in whose command a word is."""
    return [process for process, line in looking.command_lines(looking.family(head.process.pid)) if word in line]


def num_nodes(head: Head) -> int:
    return len(processes(head, "/raylet "))


@contextmanager
def begun(head: Head, words: list[str], folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A command on the cluster; what it says is in `folder`."""
    environment = ray_head.environment(head.folder / "token") | {"PYTHONPATH": str(REPOSITORY)}
    with (folder / "said").open("w") as said:
        command = subprocess.Popen(
            [*words, "--cluster.address", head.address],
            **{"cwd": folder, "env": environment, "stdout": said, "stderr": said},
        )
    try:
        yield command
    finally:
        command.kill()
        command.wait()


def store_of(said: str) -> str:
    return next(line.split()[1] for line in said.splitlines() if line.startswith("samples "))


def test_a_fleet_without_room_says_so_and_goes_on_when_a_node_has_come(head, tmp_path):
    gate, said = Gate(tmp_path, tmp_path / "gate"), tmp_path / "said"
    gate.open()
    (autoscaler,) = processes(head, "autoscaler/v2/monitor.py")
    autoscaler.suspend()
    words = [sys.executable, "-m", "scorefleet", "sample", "config.yaml"]
    with begun(head, words, tmp_path) as fleet:
        waits = "no node has room for a worker yet"
        wait_until(lambda: waits in said.read_text() or fleet.poll() is not None, PATIENCE_S)
        assert fleet.poll() is None, said.read_text()
        assert num_nodes(head) == 1
        autoscaler.resume()
        assert fleet.wait(PATIENCE_S) == 0, said.read_text()
    assert main(["verify", store_of(said.read_text())]) == 0


def test_two_nodes_come_for_training_and_a_fleet_and_go_when_both_have_ended(head, tmp_path):
    wait_until(lambda: num_nodes(head) == 1, PATIENCE_S)
    words, said = tiny.command("run", tmp_path, cluster__num_actors="2", train__num_workers="2"), tmp_path / "said"
    with begun(head, words, tmp_path) as run:
        wait_until(lambda: num_nodes(head) == 3 or run.poll() is not None, PATIENCE_S)
        assert run.wait(PATIENCE_S) in (0, 6), said.read_text()
    assert "train.num_workers is 2, but the cluster has 0 CPUs yet" in said.read_text()
    assert main(["verify", store_of(said.read_text())]) == 0
    wait_until(lambda: num_nodes(head) == 1, PATIENCE_S)
