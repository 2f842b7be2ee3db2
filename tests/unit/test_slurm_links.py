"""Which job of Slurm's runs a tick, and whether it is still to be run when its job begins."""

import dataclasses
import json
import resource
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from scorefleet.pipelines.due import SCHEDULE, STAMP, Schedule
from scorefleet.pipelines.launchers import slurm
from scorefleet.pipelines.timers import slurm_tick
from scorefleet.pipelines.timers.slurm_links import Link, link_of, links_of
from scorefleet.tasks.errors import StorageError

SINCE = "2026-01-01T00:00:00+00:00"
DAILY = Schedule("0 3 * * *", "skip", ("run",), "slurm", "/", "/bin", SINCE)
NAME = "scorefleet-run-0123456789ab"
PARCEL = b"PK\x05\x06" + bytes(18)
"""An archive of no file."""


@pytest.fixture
def schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "scorefleet" / "schedules" / "nightly"
    folder.mkdir(parents=True)
    (folder / SCHEDULE).write_text(json.dumps(dataclasses.asdict(DAILY)))
    return folder


def three(days_ago: int) -> datetime:
    """03:00, the last one if zero days ago."""
    now = datetime.now()
    last = now.replace(hour=3, minute=0, second=0, microsecond=0)
    return last - timedelta(days=days_ago + (last > now))


def link(schedule: Path, at: datetime, number: str = "7") -> Link:
    made = link_of(schedule, SINCE, at.strftime(STAMP))
    made.claim(number, f"{NAME}-{number}")
    return made


def test_of_two_jobs_for_a_tick_the_first_runs_it_and_still_does_when_it_is_requeued(schedule):
    made = link(schedule, three(0), "7")
    assert made.claim("7", NAME)
    assert not made.claim("8", NAME)
    assert made.claim("7", NAME)
    assert (made.slurm_job, made.identity) == ("7", f"{NAME}-7")


def test_a_job_whose_schedule_was_removed_or_added_anew_is_not_to_run(schedule):
    made = link(schedule, three(0))
    assert slurm_tick.schedule_of(made) == DAILY
    anew = dataclasses.replace(DAILY, since="2026-01-01T00:00:01+00:00")
    (schedule / SCHEDULE).write_text(json.dumps(dataclasses.asdict(anew)))
    assert slurm_tick.schedule_of(made) is None
    (schedule / SCHEDULE).unlink()
    assert slurm_tick.schedule_of(made) is None


@pytest.mark.parametrize(
    ("end_after_s", "days_ago", "expected"),
    [(-60, 0, False), (60, 0, True), (None, 0, False), (-60, 1, True), (60, 1, True)],
)
def test_a_tick_is_missed_when_the_one_before_ran_into_it_or_the_next_has_come(
    schedule, end_after_s, days_ago, expected
):
    """The one before ended that many seconds after the hour of this one, or was cut short without a word."""
    at = three(days_ago)
    before, made = link(schedule, at - timedelta(days=1), "6"), link(schedule, at)
    run = slurm.folder_of(before.identity)
    (run.path / "run-0").mkdir(parents=True)
    run.put("run-0/start", start_s=at.timestamp() - 3600)
    if end_after_s is not None:
        run.put("run-0/end", end_s=at.timestamp() + end_after_s, exit_code=0, was_told=False)
    assert slurm_tick.was_missed(made, DAILY) is expected


def test_the_tick_after_one_is_chosen_once_however_late_its_job_begins_again(schedule):
    made = link(schedule, three(0))
    assert [made.choose_next(tick) for tick in ("2026-01-02T0300", "2026-01-03T0300")] == ["2026-01-02T0300"] * 2


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Files may be made, and no byte be written to them."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_costs_a_tick_and_not_the_choice_of_the_next(schedule, full_disk):
    made = link_of(schedule, SINCE, three(0).strftime(STAMP))
    assert made.choose_next("2026-01-02T0300") == "2026-01-02T0300"
    with pytest.raises(StorageError, match="cannot be used"):
        made.claim("7", NAME)
    with pytest.raises(StorageError, match=r"cannot be used: .*; "):
        slurm.launcher("slurm").adopt(NAME, ("x",), {}, PARCEL, "7", made.log)
    assert not slurm.folder_of(NAME).path.exists()


def test_links_come_in_the_order_of_their_ticks_whichever_schedule_had_the_name(schedule):
    late, early = link(schedule, three(0)), link(schedule, three(2))
    between = link_of(schedule, "2025", three(1).strftime(STAMP))
    between.claim("9", NAME)
    link_of(schedule, SINCE, three(3).strftime(STAMP))  # its job was refused
    assert [*links_of(schedule)] == [early, between, late]
    assert [*links_of(schedule, SINCE)] == [early, late]
