"""Times that cron expressions name."""

from datetime import datetime, timedelta

import pytest

from scorefleet.pipelines.cron import Cron
from scorefleet.tasks.errors import UsageError

NOW = datetime(2026, 11, 25, 13, 7, 30)  # a Wednesday


@pytest.mark.parametrize(
    ("expression", "before", "after"),
    [
        ("* * * * *", "2026-11-25T13:07", "2026-11-25T13:08"),
        ("0 3 * * *", "2026-11-25T03:00", "2026-11-26T03:00"),
        ("*/20 9-17 * * mon-fri", "2026-11-25T13:00", "2026-11-25T13:20"),
        ("30 4 1,15 * *", "2026-11-15T04:30", "2026-12-01T04:30"),
        ("0 0 * * 7", "2026-11-22T00:00", "2026-11-29T00:00"),
        ("0 0 * * 0", "2026-11-22T00:00", "2026-11-29T00:00"),
        ("5 23 31 dec *", "2025-12-31T23:05", "2026-12-31T23:05"),
        ("0 12 29 2 *", "2024-02-29T12:00", "2028-02-29T12:00"),
        ("0 0 13 * fri", "2026-11-20T00:00", "2026-11-27T00:00"),  # either day, as neither begins with *
        ("0 0 */2 * fri", "2026-11-13T00:00", "2026-11-27T00:00"),  # both days: a Friday of odd date
        ("7 13 * * *", "2026-11-25T13:07", "2026-11-26T13:07"),
    ],
)
def test_the_last_and_the_next_time(expression, before, after):
    cron = Cron.of(expression)
    assert cron.before(NOW) == datetime.fromisoformat(before)
    assert cron.after(NOW) == datetime.fromisoformat(after)


def test_times_that_are_counted_one_by_one_are_those_between():
    """Every minute of a fortnight, by the definition of a field, against the search by days."""
    cron = Cron.of("10-50/20 1,13 * nov,dec 1-3")
    start = datetime(2026, 11, 24)
    minutes = [start + timedelta(minutes=number) for number in range(14 * 24 * 60)]
    expected = [t for t in minutes if t.minute in (10, 30, 50) and t.hour in (1, 13) and t.isoweekday() in (1, 2, 3)]
    found, now = [], start - timedelta(minutes=1)
    while (now := cron.after(now)) <= minutes[-1]:
        found.append(now)
    assert found == expected
    assert len(expected) == 36
    assert all(cron.before(t + timedelta(seconds=59)) == t for t in expected)


@pytest.mark.parametrize(
    "expression",
    [
        *("", "0 3 * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *"),
        *("*/0 * * * *", "5/10 * * * *", "1,,2 * * * *", "-1 * * * *", "x * * * *", "0 0 30 feb *", "* * * * * root"),
    ],
)
def test_what_cron_would_refuse_or_never_run_is_refused(expression):
    with pytest.raises(UsageError, match="--cron"):
        Cron.of(expression)
