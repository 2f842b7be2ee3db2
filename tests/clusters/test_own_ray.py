"""A Ray of our own on a machine that others use too: none of it can be reached from elsewhere, nor used by them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.clusters import listening
from tests.clusters.gate import Gate
from tests.integration.conftest import wait_until
from tests.integration.ray_head import REPOSITORY
from tests.integration.tiny import clean_environment

pytestmark = pytest.mark.timeout(900)

PATIENCE_S = 300


def test_it_listens_on_loopback_alone_and_refuses_who_has_no_token(tmp_path: Path):
    gate = Gate(tmp_path, tmp_path / "gate")
    environment = clean_environment() | {"PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, "-m", "pipelines.cli", "sample", "config.yaml", "--cluster.num_cpus", "2"]
    with (tmp_path / "said").open("w") as said:
        fleet = subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=said, stderr=said)
    try:
        wait_until(lambda: len(gate.seen()) == 2 or fleet.poll() is not None, PATIENCE_S)
        processes = [psutil.Process(fleet.pid), *psutil.Process(fleet.pid).children(recursive=True)]
        found = [
            (one.laddr, process.name())
            for process in processes
            for one in process.net_connections("inet")
            if one.status == psutil.CONN_LISTEN
        ]
        assert {"gcs_server", "raylet"} < {name for _, name in found}
        assert {address.ip.removeprefix("::ffff:") for address, _ in found} <= {"127.0.0.1", "::1"}

        def popen(*words: str, **options: Any) -> "subprocess.Popen[str]":
            return subprocess.Popen(words, env=environment, text=True, **options)

        names = {f"127.0.0.1:{address.port}": name for address, name in found}
        for place, answer in listening.asked(popen, names).items():
            is_refused = listening.refuses_all(answer) or listening.is_metrics(answer)
            assert is_refused, (names[place], answer)
        gate.open()
        assert fleet.wait(PATIENCE_S) == 0, (tmp_path / "said").read_text()
    finally:
        fleet.kill()
        fleet.wait()
