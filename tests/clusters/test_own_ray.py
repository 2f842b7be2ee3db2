"""A Ray of our own on a machine that others use too: none of it can be reached from elsewhere, nor used by them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import looking
from tests.clusters import listening
from tests.clusters.gate import Gate
from tests.clusters.train_on import attempts
from tests.integration.conftest import wait_until
from tests.integration.ray_head import REPOSITORY
from tests.integration.tiny import clean_environment

pytestmark = pytest.mark.timeout(900)

PATIENCE_S = 300


def listeners(driver: int) -> dict[str, str]:
    """The places where a command's processes listen, all of them on loopback, and the programs."""
    found = looking.listeners(looking.family(driver))
    assert {"gcs_server", "raylet"} < {name for _, _, name in found}
    assert {address for address, _, _ in found} <= {"127.0.0.1", "::1"}
    return {f"127.0.0.1:{port}": name for _, port, name in found}


def test_it_listens_on_loopback_alone_and_refuses_who_has_no_token(tmp_path: Path):
    gate = Gate(tmp_path, tmp_path / "gate")
    environment = clean_environment() | {"PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, "-m", "scorefleet", "sample", "config.yaml", "--cluster.num_cpus", "2"]
    with (tmp_path / "said").open("w") as said:
        fleet = subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=said, stderr=said)
    try:
        wait_until(lambda: len(gate.seen()) == 2 or fleet.poll() is not None, PATIENCE_S)
        names = listeners(fleet.pid)

        def popen(*words: str, **options: Any) -> "subprocess.Popen[str]":
            return subprocess.Popen(words, env=environment, text=True, **options)

        for place, answer in listening.asked(popen, names).items():
            is_refused = listening.refuses_all(answer) or listening.is_metrics(answer)
            assert is_refused, (names[place], answer)
        gate.open()
        assert fleet.wait(PATIENCE_S) == 0, (tmp_path / "said").read_text()
    finally:
        fleet.kill()
        fleet.wait()


def test_training_listens_on_loopback_alone(tmp_path: Path):
    """Where its workers meet and talk too, which torch would have listen everywhere."""
    environment = clean_environment() | {"PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, "-m", "tests.clusters.train_on", str(tmp_path), "2", "100", "1000", "1"]
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as driver:
        try:
            wait_until(lambda: len(attempts(tmp_path)) == 2 or driver.poll() is not None, PATIENCE_S)
            assert sum("TrainWorker" in name for name in listeners(driver.pid).values()) >= 2
            (tmp_path / "hurry").touch()
            _, said = driver.communicate(timeout=PATIENCE_S)
            assert driver.returncode == 0, said[-3000:]
        finally:
            driver.kill()
