"""One line that says how far a long step is, how fast it goes and how long it will take."""

import sys
import time
from collections.abc import Callable

from scorefleet.tasks.console import notify, redraw
from scorefleet.tasks.fleet.job import Advanced
from scorefleet.tasks.mcmc.diagnostics.moments import Moments, join
from scorefleet.tasks.store.entry import Entry

BAR = 10
"""Characters of the bar on a terminal."""


class Progress:
    """Progress of `total` units; on a terminal the line is redrawn, elsewhere one is written every ten seconds."""

    def __init__(self, label: str, total: int, unit: str):
        self.label, self.total, self.unit = label, total, unit
        self._start = time.monotonic()
        self._first_done: int | None = None
        self._last_shown = float("-inf")
        self._is_terminal = sys.stderr.isatty()

    def update(self, done: int, note: str = "") -> None:
        """Show that `done` units are finished; the rate counts from the first update, so work that was resumed is
        free.
        """
        now = time.monotonic()
        if self._first_done is None:
            self._first_done, self._start = done, now
        interval = 0.2 if self._is_terminal else 10.0
        if now - self._last_shown < interval and done < self.total:
            return
        self._last_shown = now
        line = self.line(done, now, note)
        if self._is_terminal:
            redraw(f"{bar(done / self.total)} {line}", is_last=done >= self.total)
        else:
            notify(line)

    def line(self, done: int, now: float, note: str) -> str:
        """`train  4,200 of 10,000 steps, 51.0/s, 1:52 left, loss 0.41`"""
        assert self._first_done is not None
        advanced, elapsed = done - self._first_done, now - self._start
        rate = advanced / elapsed if advanced and elapsed > 0 else 0.0
        left = f"{clock((self.total - done) / rate)} left" if rate else "starting"
        pieces = [f"{done:,} of {self.total:,} {self.unit}", f"{rate:,.1f}/s", left, note]
        return f"{self.label:<8} " + ", ".join(piece for piece in pieces if piece)


class RowsWatcher:
    """Counts committed rows into a progress line, with the acceptance and the worst R-hat so far of what this command
    has drawn.
    """

    def __init__(self, label: str, num_rows: int, acceptance: Callable[[Entry], str]):
        """`acceptance` is told of every commit, and says how often steps have been accepted until then."""
        self._progress, self._acceptance = Progress(label, num_rows, "rows"), acceptance
        self._progress.update(0)
        self._num_rows = 0
        self._moments: Moments | None = None

    def __call__(self, made: Advanced) -> None:
        self._num_rows += made.entry.rows
        self._moments = join(self._moments, made.moments)
        worst = self._moments.worst_rhat if self._moments else None
        notes = self._acceptance(made.entry), "" if worst is None else f"R-hat {worst:.3f}"
        self._progress.update(self._num_rows, ", ".join(filter(None, notes)))


def bar(share: float) -> str:
    """`[####......]`"""
    full = int(BAR * min(max(share, 0.0), 1.0))
    return f"[{'#' * full}{'.' * (BAR - full)}]"


def clock(seconds: float) -> str:
    """`1:52`, `2:03:10`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
