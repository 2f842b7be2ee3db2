"""What is stopped, in a bucket: the same command goes on, from elsewhere too, and ends in the same rows.

Nothing here depends on how busy the machine is: a segment of draws at a pace takes 8 s at least, four or more are left
at either stop, and to stop must take no longer than it took to get there.
"""

import signal
import subprocess
import sys
import time

import pytest

from scorefleet.pipelines.cli import main
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.manifest import SampleStore
from tests import ceph, paced_density
from tests.integration.tiny import clean_environment

pytestmark = pytest.mark.timeout(900)

NUM_CHAINS, NUM_DRAWS = paced_density.BLOCK_SIZE, 6 * 4096
SETTINGS = {"target": "tests.paced_density:log_density", "dim": "2", "num-chains": NUM_CHAINS, "num-draws": NUM_DRAWS}
PACE_S = "0.002"


def start(root, place, **environment):
    chosen = SETTINGS | {"block-size": paced_density.BLOCK_SIZE, "root": root, "store": place}
    words = [word for key, value in chosen.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "scorefleet", "sample", *words]
    return subprocess.Popen(command, env=clean_environment() | environment, stderr=subprocess.PIPE, text=True)


def stop_when_begun(process, place, number):
    """Send a signal once it has committed something; what it said, and the seconds before and after."""
    store, begun = objects.open_store(place), time.monotonic()
    before = len(objects.names(store, "commits"))
    while len(objects.names(store, "commits")) == before:
        assert process.poll() is None
        time.sleep(0.1)
    stopped = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate()
    return said, stopped - begun, time.monotonic() - stopped


def held_in(folder):
    """Files below a folder that hold a secret."""
    secrets = (ceph.ACCESS_KEY.encode(), ceph.SECRET_KEY.encode())
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if any(secret in path.read_bytes() for secret in secrets)]


def test_a_command_that_is_stopped_twice_goes_on_and_no_file_holds_a_secret(place, tmp_path):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = start(tmp_path / "root", place, PACE_S=PACE_S)
        said, before_s, after_s = stop_when_begun(process, place, number)
        assert process.returncode == code, said
        assert "rows are saved. Run the same command to resume." in said.splitlines()[-1]
        assert "Traceback" not in said
        assert after_s < before_s
    assert len(objects.names(objects.open_store(place), "commits")) < 6

    last = start(tmp_path / "another", place)
    said = last.communicate()[1]
    assert last.returncode == 0, said
    assert main(["verify", place]) == 0
    assert SampleStore(place, writable=False).description()["num_rows"] == NUM_CHAINS * NUM_DRAWS
    assert held_in(tmp_path) == []
    kept = objects.open_store(place)
    names = [name for name in objects.names(kept) if name.endswith(".json")]
    assert not [name for name in names if ceph.SECRET_KEY.encode() in objects.read(kept, name)]
