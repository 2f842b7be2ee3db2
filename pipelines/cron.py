"""When five fields of cron are due (minute, hour, day of month, month, weekday), in local time, as in Debian."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from scorefleet.tasks.errors import UsageError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS: tuple[tuple[str, int, int, Sequence[str]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 7, DAYS),
)
LONGEST_DAYS = 8 * 366
"""29 February comes after eight years at the latest."""


@dataclass(frozen=True)
class Cron:
    """The numbers that each field allows; `either_day` where a day is due by its month or by its week."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    @classmethod
    def of(cls, expression: str) -> "Cron":
        """Read five fields; `UsageError` for what cron would refuse, or would never run."""
        fields = expression.split()
        if len(fields) != len(FIELDS):
            what = "five fields (minute, hour, day of month, month, day of week)"
            raise UsageError(f"--cron must be {what}, such as '0 3 * * *', but got {expression!r}")
        minutes, hours, days, months, weekdays = map(_numbers, fields, FIELDS)
        either = not fields[2].startswith("*") and not fields[4].startswith("*")
        cron = cls(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)
        if cron.after(datetime(2000, 1, 1)) is None:
            raise UsageError(f"--cron {expression!r} never comes: there is no such day")
        return cron

    def before(self, now: datetime) -> datetime | None:
        """The last time that is not after `now`."""
        return next((tick for tick in self._ticks(now.date(), -1) if tick <= now), None)

    def after(self, now: datetime) -> datetime | None:
        """The first time after `now`."""
        return next((tick for tick in self._ticks(now.date(), 1) if tick > now), None)

    def _ticks(self, start: date, step: int) -> Iterator[datetime]:
        for number in range(LONGEST_DAYS):
            day = start + timedelta(days=step * number)
            if self._is_day(day):
                for hour in sorted(self.hours, reverse=step < 0):
                    for minute in sorted(self.minutes, reverse=step < 0):
                        yield datetime.combine(day, time(hour, minute))

    def _is_day(self, day: date) -> bool:
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (by_month or by_week if self.either_day else by_month and by_week)


def _numbers(text: str, field: tuple[str, int, int, Sequence[str]]) -> frozenset[int]:
    """`1-5,10,*/15` as the numbers it allows."""
    name, lowest, highest, words = field
    allowed: set[int] = set()
    for part in text.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = lowest, highest
        else:
            start = _number(first, words)
            end = _number(last, words) if dash else start
        every = _number(step, ()) if slash else 1
        if not lowest <= start <= end <= highest or every < 1 or (slash and span != "*" and not dash):
            what = f"numbers from {lowest} to {highest}, ranges A-B, steps */N, and lists of them with commas"
            raise UsageError(f"the {name} of --cron must be {what}, but got {text!r}")
        allowed |= {*range(start, end + 1, every)}
    return frozenset(allowed)


def _number(text: str, words: Sequence[str]) -> int:
    """-1, which no field allows, for what is none."""
    if text in words:
        return words.index(text) + (1 if words is MONTHS else 0)
    return int(text) if text.isdecimal() else -1
