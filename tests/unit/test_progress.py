from scorefleet.tasks.fleet.progress import Progress, clock


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
