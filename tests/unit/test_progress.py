import sys

import pytest

from scorefleet.tasks.fleet.progress import Progress, bar, clock


@pytest.mark.parametrize("columns", ["40", "200"])
def test_on_a_terminal_the_line_has_a_bar_and_never_wraps(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = Progress("train", 1000, "steps")
    progress.update(0)
    progress.update(1000, "a note of some thirty characters")
    first, last = capsys.readouterr().err.replace("\x1b[K", "").split("\r")
    assert first.startswith("[..........] train    0 of 1,000 steps")
    assert last.startswith("[##########] train    1,000 of 1,000")
    assert all(len(line.strip()) < int(columns) for line in (first, last))


def test_a_bar_is_full_at_the_end_alone():
    assert [bar(share) for share in (0, 0.55, 0.999, 1)] == [
        "[..........]", "[#####.....]", "[#########.]", "[##########]"
    ]  # fmt: skip


def test_the_line_says_how_far_how_fast_and_how_long():
    progress = Progress("train", 1000, "steps")
    progress._first_done, progress._start = 200, 0.0
    assert progress.line(600, 8.0, "loss 0.41") == "train    600 of 1,000 steps, 50.0/s, 0:08 left, loss 0.41"


def test_times_are_read_as_a_clock():
    assert [clock(seconds) for seconds in (0.4, 112, 7390)] == ["0:00", "1:52", "2:03:10"]


def test_lines_for_a_log_are_few(capsys):
    progress = Progress("train", 1000, "steps")
    for done in range(0, 1001, 10):
        progress.update(done)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[-1].startswith("train    1,000 of 1,000 steps")
