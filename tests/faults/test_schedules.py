"""Schedules of faults, few enough for every day; `make faults` runs many."""

import subprocess
import sys

import pytest

from tests.integration import tiny

NUM_SCHEDULES, FIRST_SEED = 20, 1000


def run(*words: str) -> None:
    command = [sys.executable, "-m", "tests.faults", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=tiny.clean_environment())
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.timeout(600)
def test_whatever_is_killed_stopped_or_begun_anew_the_store_is_the_undisturbed_one():
    run("--num-schedules", str(NUM_SCHEDULES), "--seed", str(FIRST_SEED))
