"""Many runs at once at a team's server, and a server that stalls, dies or loses its database in the midst of one."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scorefleet.tasks.records.tracking_server import PROBE_TIMEOUT_S
from tests.clusters import recorder
from tests.clusters.conftest import Team

pytestmark = pytest.mark.timeout(600)

NUM_AT_ONCE = 8
MORE_BYTES = 10_000
SLOWEST_S = PROBE_TIMEOUT_S / 5
"""A call that waited for a server that is away would wait until that is found out, which takes `PROBE_TIMEOUT_S` at
least; one that waits for the disk of a busy machine stays far below.
"""


def start(team: Team, journal: Path) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "tests.clusters.recorder", str(journal), team.server.uri]
    return subprocess.Popen(words, env=team.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end(process: "subprocess.Popen[str]") -> dict[str, Any]:
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    return json.loads(said)


def wait_until(is_so: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert process.poll() is None
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def require_whole(team: Team, run_key: str, ended: dict[str, Any]) -> None:
    """One run, every point once, and no call slow."""
    assert (ended["num_pending"], ended["reason"], team.num_runs(run_key)) == (0, None, 1)
    recorded = [(key, step) for key in ("loss", "rate") for step in range(ended["num_steps"])]
    assert sorted(team.points(run_key)) == recorded
    assert ended["slowest_s"] < SLOWEST_S


def test_of_many_runs_at_once_each_is_there_once_and_whole(
    team: Team, tmp_path: Path, record_property: Callable[[str, float], None]
) -> None:
    processes = {f"run-{number}": start(team, tmp_path / f"run-{number}.jsonl") for number in range(NUM_AT_ONCE)}
    for key, process in processes.items():
        wait_until(lambda key=key: bool(team.points(key)), process)
    all_ended = {key: end(process) for key, process in processes.items()}
    for key, ended in all_ended.items():
        require_whole(team, key, ended)
    record_property("slowest_s", max(ended["slowest_s"] for ended in all_ended.values()))
    assert team.rows(f"SELECT count(*) FROM experiments WHERE name = '{recorder.EXPERIMENT}'") == [(1,)]


def test_a_server_that_stalls_dies_and_loses_its_database_costs_a_run_nothing(
    team: Team, tmp_path: Path, record_property: Callable[[str, float], None]
) -> None:
    journal = tmp_path / "outages.jsonl"
    process = start(team, journal)

    def goes_on() -> None:
        """The run records as if nothing were."""
        size = journal.stat().st_size
        wait_until(lambda: journal.stat().st_size > size + MORE_BYTES, process)

    def catches_up() -> None:
        """What was recorded up to now arrives."""
        last = len(journal.read_text().splitlines()) - 1 if journal.exists() else 0
        wait_until(lambda: ("loss", last) in team.points("outages"), process)

    catches_up()
    team.server.signal(signal.SIGSTOP)
    goes_on()
    team.server.signal(signal.SIGCONT)
    catches_up()
    team.server.kill()
    goes_on()
    team.server.start()
    catches_up()
    team.database.kill()
    goes_on()
    team.database.start()
    catches_up()
    ended = end(process)
    require_whole(team, "outages", ended)
    record_property("slowest_s", ended["slowest_s"])
