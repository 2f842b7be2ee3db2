"""A bucket that is full, and one that goes away in the midst of a command: a line, and the same rows afterwards."""

import subprocess
import time

import pytest

from scorefleet.pipelines.cli import main
from scorefleet.tasks.store import objects
from tests.integration import tiny

pytestmark = pytest.mark.timeout(900)

AWAY_S = 2.0
"""Far less than twelve attempts take, and more than three."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Where a model is registered."""
    folder = tmp_path_factory.mktemp("registered")
    alone = {"train__num_workers": "1", "cluster__num_actors": "0"}
    assert tiny.finish(tiny.command("run", folder, **alone)).returncode in (0, 6)
    return folder


def words(root, summary, **more):
    command = tiny.command("generate", root, model="models:/tiny/1", num_samples="1200", sample__num_draws="1", **more)
    return [*command, "--summary", str(summary)]


def start(root, place, attempts, **more):
    environment = tiny.clean_environment() | {"AWS_MAX_ATTEMPTS": str(attempts)}
    command = words(root, root / "in_bucket.json", store=place, **more)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_commits(process, place):
    store = objects.open_store(place)
    before = len(objects.names(store, "commits"))
    while len(objects.names(store, "commits")) == before:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def end_of(process):
    """The exit code, and the line that it ends with."""
    said = process.communicate(timeout=600)[1]
    assert "Traceback" not in said
    return process.returncode, said.splitlines()[-1]


def test_generate_into_a_bucket_that_goes_away_and_is_full_ends_in_the_rows_of_a_folder(place, root, ceph_daemons):
    process = start(root, place, attempts=3)
    wait_for_commits(process, place)
    ceph_daemons.stop("radosgw")
    code, line = end_of(process)
    assert code == 4
    assert line.startswith(f"scorefleet: {place}/")
    assert line.endswith("; when the server answers again, the same command goes on")

    ceph_daemons.limit(30)
    ceph_daemons.start_gateway()
    code, line = end_of(start(root, place, attempts=3, cluster__num_actors="0"))
    assert code == 4
    assert line.endswith("cannot be used: QuotaExceeded; make room in the bucket, or have its quota raised")
    ceph_daemons.stop("radosgw")
    ceph_daemons.limit(-1)
    ceph_daemons.start_gateway()

    process = start(root, place, attempts=12)
    wait_for_commits(process, place)
    ceph_daemons.stop("radosgw")
    time.sleep(AWAY_S)
    ceph_daemons.start_gateway()
    code, line = end_of(process)
    assert code in (0, 6), line
    assert main(["verify", place]) == 0

    assert tiny.finish(words(root, root / "in_folder.json", cluster__num_actors="0")).returncode == code
    digests = [tiny.summary_of(root / name)["samples_digest"] for name in ("in_bucket.json", "in_folder.json")]
    assert digests[0] == digests[1]
