"""What is stopped, in a bucket: the same command goes on, ends in the same rows, and another is refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.cli import main
from tasks.errors import StorageError
from tasks.store import objects
from tasks.store.manifest import SampleStore
from tests import ceph
from tests.integration.tiny import clean_environment

pytestmark = pytest.mark.timeout(900)

SETTINGS = {"target": "tests.tiny_density:log_density", "dim": "2", "num-chains": "512", "num-draws": "2560"}
REPOSITORY = Path(__file__).parents[2]


def command(root, place, **changes):
    chosen = SETTINGS | {"block-size": "256", "root": str(root), "store": place} | changes
    words = [word for key, value in chosen.items() for word in (f"--{key.replace('_', '-')}", value)]
    return [sys.executable, "-m", "pipelines.cli", "sample", *words]


def start(root, place, **changes):
    environment = clean_environment() | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(command(root, place, **changes), env=environment, stderr=subprocess.PIPE, text=True)


def stop_when_begun(process, place, number):
    """Send a signal once it has committed something; what it said, and the seconds until it was gone."""
    store = objects.open_store(place)
    before = len(objects.names(store, "commits"))
    while len(objects.names(store, "commits")) == before:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    begun = time.monotonic()
    _, said = process.communicate(timeout=300)
    return said, time.monotonic() - begun


def held_in(folder):
    """Files below a folder that hold a secret."""
    secrets = (ceph.ACCESS_KEY.encode(), ceph.SECRET_KEY.encode())
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if any(secret in path.read_bytes() for secret in secrets)]


def test_a_command_that_is_stopped_twice_goes_on_and_no_file_holds_a_secret(place, tmp_path):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = start(tmp_path / "root", place)
        said, seconds = stop_when_begun(process, place, number)
        assert seconds < 30 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # 30 s where it has a core
        assert process.returncode == code, said
        assert "rows kept; the same command goes on from here" in said.splitlines()[-1]
        assert "Traceback" not in said
    with pytest.raises(StorageError, match="no finished samples"):
        SampleStore(place, writable=False).description()

    other = start(tmp_path / "another", place, thinning="3", seed="5")
    said = other.communicate(timeout=200)[1].splitlines()[-1]
    assert other.returncode == 2
    assert "was begun otherwise: config.thinning is 3 and was 1; seed is 5 and was 0: go on with what began it" in said

    last = start(tmp_path / "another", place)
    said = last.communicate(timeout=280)[1]
    assert last.returncode == 0, said
    assert main(["verify", place]) == 0
    assert main(["audit", place, "--num-shards", "3"]) == 0
    assert SampleStore(place, writable=False).description()["num_rows"] == 512 * 2560
    assert held_in(tmp_path) == []
    kept = objects.open_store(place)
    names = [name for name in objects.names(kept) if name.endswith(".json")]
    assert not [name for name in names if ceph.SECRET_KEY.encode() in objects.read(kept, name)]
