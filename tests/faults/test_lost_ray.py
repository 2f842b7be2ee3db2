"""Where Ray itself is killed under a run, the run ends soon, in a line that says so, and the same command goes on."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests import paced_density
from tests.integration import tiny

pytestmark = pytest.mark.timeout(900)

SIZE = str(paced_density.BLOCK_SIZE)
WORDS = ["--target", "tests.paced_density:log_density", "--dim", "2", "--block-size", SIZE, "--num-chains", SIZE]
NUM_DRAWS = 4 * 4096
"""As long as four commits: either run that is killed makes one before it is, and may make another before it ends."""

PACE_S = "0.0005"
"""Some eight seconds between two commits, more than a run needs to end."""


def command(root: Path) -> list[str]:
    return [sys.executable, "-m", "scorefleet", "sample", *WORDS, "--num-draws", str(NUM_DRAWS), "--root", str(root)]


def shards(root: Path) -> dict[str, str]:
    paths = sorted(root.glob("sample/*/draws/shards/*.parquet"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def kill_under_it(root: Path, name: str) -> str:
    """Run, kill one of Ray's processes after the next commit, and return what the run said at its end."""
    hasty = tiny.clean_environment() | {"RAY_gcs_rpc_server_reconnect_timeout_s": "5", "PACE_S": PACE_S}  # not a minute
    there = len(commits(root))
    driver = subprocess.Popen(command(root), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=hasty)
    while len(commits(root)) == there:
        assert driver.poll() is None
        time.sleep(0.01)
    workers = psutil.Process(driver.pid).children(recursive=True)
    (victim,) = (child.pid for child in psutil.Process(driver.pid).children() if child.name().startswith(name))
    os.kill(victim, signal.SIGKILL)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode != 0
    psutil.wait_procs(workers, timeout=60)
    return errors.decode()


def commits(root: Path) -> list[Path]:
    return list(root.glob("sample/*/draws/commits/*.json"))


def test_the_run_ends_in_a_line_and_the_same_command_in_the_same_bytes(tmp_path):
    killed, calm = tmp_path / "killed", tmp_path / "calm"
    for name, words in (("raylet", "lost "), ("gcs_server", "GCS may have been killed")):
        said = kill_under_it(killed, name)
        assert words in said
        assert "Traceback" not in said
    for root, num_actors in ((killed, "1"), (calm, "0")):
        assert tiny.finish([*command(root), "--cluster.num_actors", num_actors]).returncode == 0
    assert shards(killed) == shards(calm)
