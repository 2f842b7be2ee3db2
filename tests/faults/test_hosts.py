"""Hosts: one that joins gets work, one that is cut off writes on, one is drained, and the store is the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scorefleet.tasks.store.extents import Extent
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.verify import verify
from tests import hosts
from tests.faults.schedules import Schedule, made_of, undisturbed
from tests.integration.conftest import wait_until

pytestmark = pytest.mark.timeout(900)

SCHEDULE = Schedule(seed=5, num_actors=0, extents=(Extent(160, 20),), pace_s=1.0, faults=())
"""400 segments of a second, so that it is not done before all has happened; then they hurry."""
PATIENCE_S, DEADLINE_S = 200, 3
DEADLINE = ("--deadline-remaining-seconds", str(DEADLINE_S))


def written(faults: Path, name: str) -> set[str]:
    """The segments that a host has committed, or found committed."""
    return {path.stem for path in faults.glob(f"*.by-{name}-*")}


@pytest.mark.skipif(hosts.missing() is not None, reason=str(hosts.missing()))
def test_hosts_that_join_are_cut_off_and_are_drained_change_no_byte(tmp_path):
    store, faults = tmp_path / "store", tmp_path / "faults"
    faults.mkdir()
    with hosts.running(3) as (head, cut, spot):
        head.start_ray()
        cut.start_ray(head)
        words = [sys.executable, "-m", "tests.faults.across_hosts", str(store), str(faults)]
        driver = head.popen(*words, f"{head.address}:{hosts.PORT}", stderr=subprocess.PIPE, cwd=hosts.REPOSITORY)
        wait_until(lambda: bool(written(faults, "host0") and written(faults, "host1")), PATIENCE_S)
        spot.start_ray(head)
        wait_until(lambda: bool(written(faults, "host2")), PATIENCE_S)

        (writer,) = cut.processes("ray::Walker")
        os.kill(writer.pid, signal.SIGSTOP)
        before = written(faults, "host1")
        cut.cut()

        ray = str(Path(sys.executable).with_name("ray"))
        reason = ("--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot")
        drain = spot.popen(ray, "drain-node", "--address", f"{head.address}:{hosts.PORT}", *reason, *DEADLINE)
        assert drain.wait() == 0
        time.sleep(DEADLINE_S)
        spot.end()

        (faults / "hurry").touch()
        _, said = driver.communicate(timeout=PATIENCE_S)
        assert driver.returncode == 0, said[-3000:]

        os.kill(writer.pid, signal.SIGCONT)
        wait_until(lambda: written(faults, "host1") > before, PATIENCE_S)
    (late,) = written(faults, "host1") - before
    assert late in written(faults, "host0") | written(faults, "host2")

    calm = undisturbed(SCHEDULE, tmp_path / "calm")
    proof = verify(str(store))
    assert proof.is_whole, proof.findings
    disturbed = SampleStore(str(store), writable=False)
    assert disturbed.description()["digest"] == calm.description()["digest"]
    assert [made_of(entry) for entry in disturbed.entries()] == calm.entries()
