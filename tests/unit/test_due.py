"""A tick runs once, whoever calls and whatever is killed."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from scorefleet.pipelines import due
from scorefleet.pipelines.due import SCHEDULE, Schedule, Tick, may_go_on, run_due
from scorefleet.tasks.errors import UsageError
from tests.integration.conftest import wait_until

HERE = socket.gethostname()
EVERY_MINUTE = Schedule("* * * * *", "run", ("verify", "nowhere"), None, "/", os.environ["PATH"], "2026-01-01T00:00:00")


def made(folder: Path, **changes: object) -> Path:
    folder.mkdir()
    schedule = dataclasses.replace(EVERY_MINUTE, folder=str(folder), **changes)  # type: ignore[arg-type]
    (folder / SCHEDULE).write_text(json.dumps(dataclasses.asdict(schedule)))
    return folder


def yearly() -> str:
    """A tick of one minute ago, and none for a year."""
    last = datetime.now() - timedelta(minutes=1)
    return f"{last.minute} {last.hour} {last.day} {last.month} *"


def call(folder: Path) -> int:
    """As cron does it."""
    command = [sys.executable, "-m", "scorefleet", "schedule", "tick", str(folder)]
    return subprocess.run(command, check=False).returncode


def test_a_tick_is_due_only_after_its_schedule_began():
    at = datetime(2026, 3, 1, 3, 0, 30)
    nightly = dataclasses.replace(EVERY_MINUTE, cron="0 3 * * *")
    assert due.due(nightly, at) == "2026-03-01T0300"
    assert due.due(dataclasses.replace(nightly, since="2026-03-01T03:00:10"), at) is None
    assert due.due(dataclasses.replace(nightly, since="2026-03-01T02:59:59"), at) == "2026-03-01T0300"


def test_of_many_calls_at_once_one_runs_the_tick(tmp_path):
    folder = made(tmp_path / "s", cron=yearly())
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: call(folder), range(4)))
    assert sorted(codes) == [0, 0, 0, 4]
    (tick,) = due.ticks(folder)
    assert tick.exit_code == 4
    assert tick.start <= tick.end
    log = Path(tick.log)
    assert log.read_text().count("scorefleet: folder /") + log.read_text().count("does not exist") >= 1
    assert log.read_text().count("scorefleet:") == 1
    assert log.stat().st_mode & 0o077 == 0
    assert call(folder) == 0


def test_a_running_tick_is_not_overlapped_even_when_who_began_it_was_killed(tmp_path):
    """The command holds the lock: a sleeper in place of Python plays it."""
    folder = made(tmp_path / "s")
    with due.tried(folder / "lock", 0) as descriptor:
        assert descriptor is not None
        sleeper = subprocess.Popen(["sleep", "60"], pass_fds=(descriptor,))
    try:
        assert due.is_running(folder)
        assert run_due(folder) == 0
        assert list(due.ticks(folder)) == []
    finally:
        sleeper.kill()
        sleeper.wait()
    assert not due.is_running(folder)


@pytest.mark.parametrize(("missed", "expected"), [("run", 4), ("skip", None)])
def test_a_tick_that_was_killed_is_begun_again_only_where_missed_ones_are_run(tmp_path, missed, expected):
    folder = made(tmp_path / "s", cron=yearly(), missed=missed)
    name = due.due(due.read(folder), datetime.now())
    assert name is not None
    due._put(folder, f"{name}.json", dataclasses.asdict(Tick(name, HERE, str(folder / "ticks" / f"{name}.log"), "x")))
    run_due(folder)
    (tick,) = due.ticks(folder)
    assert tick.exit_code == expected


def test_only_where_it_was_begun_is_a_killed_tick_begun_again():
    begun = Tick("t", HERE, "log", "start")
    assert may_go_on(begun, "run", HERE)
    assert not may_go_on(begun, "run", "another")
    assert not may_go_on(begun, "skip", HERE)
    assert not may_go_on(dataclasses.replace(begun, end="end", exit_code=1), "run", HERE)
    assert not may_go_on(dataclasses.replace(begun, start=None), "run", HERE)


def test_a_tick_that_came_due_while_another_ran_is_skipped_or_run_as_told(tmp_path):
    """The clock goes on by a minute with each look, so that one tick is due after another has run."""
    for missed, expected in (("skip", [4, None]), ("run", [4, 4, 4])):
        times = iter([datetime(2026, 5, 1, 3, minute) for minute in (0, 1, 2, 2)])
        folder = made(tmp_path / missed, missed=missed)
        run_due(folder, times.__next__)
        ticks = list(due.ticks(folder))
        assert [tick.exit_code for tick in ticks] == expected
        assert [tick.start is None for tick in ticks] == [code is None for code in expected]


def test_a_command_that_is_killed_ends_with_its_signal(tmp_path):
    folder = made(tmp_path / "s", cron=yearly(), words=("verify", "/dev/stdin"))
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run_due, folder)
        wait_until(lambda: any(due.ticks(folder)) and bool(children(os.getpid())), 20)
        for child in children(os.getpid()):
            os.kill(child, signal.SIGKILL)
        assert done.result(timeout=20) == 137
    assert [tick.exit_code for tick in due.ticks(folder)] == [137]


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def test_a_schedule_that_is_removed_while_it_runs_ends(tmp_path, monkeypatch):
    """Every run outlasts the period, so that a tick is always due."""
    folder, minutes = made(tmp_path / "s"), iter(range(1, 60))

    def once(folder, name, schedule, descriptor):
        (folder / SCHEDULE).unlink()
        return 7

    monkeypatch.setattr(due, "_execute", once)
    assert run_due(folder, lambda: datetime(2026, 3, 1, 3, next(minutes))) == 7
    assert len(list(due.ticks(folder))) == 1


def test_ticks_are_compared_with_the_beginning_in_whatever_zone_that_was_written():
    at = datetime(2026, 3, 1, 3, 0, 30).astimezone()
    before, after = (at + timedelta(seconds=seconds) for seconds in (-60, 60))
    for since, is_due in ((before, True), (after, False)):
        elsewhere = since.astimezone(timezone(timedelta(hours=9))).isoformat()
        found = due.due(dataclasses.replace(EVERY_MINUTE, cron="0 3 * * *", since=elsewhere), at.replace(tzinfo=None))
        assert (found is not None) == is_due


def test_a_tick_waits_for_its_folder(tmp_path):
    folder = made(tmp_path / "s")
    kept = json.loads((folder / SCHEDULE).read_text()) | {"folder": str(tmp_path / "gone")}
    (folder / SCHEDULE).write_text(json.dumps(kept))
    with pytest.raises(UsageError, match="is not there"):
        run_due(folder)
    assert not list(due.ticks(folder))
