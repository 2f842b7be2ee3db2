"""Every command ends with one line and a documented exit code, whatever it was given."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from scorefleet.pipelines.cli import COMMANDS, main
from scorefleet.pipelines.ending import code_of

CODES = {2, 3, 4, 5}
WORDS = ("", "-", "--", "\0", "a\0b", "caf\udce9", "\x1b[31m", "-x", "--=", "=", "--root", "--root=", "a" * 300, "{")


@pytest.fixture
def line_of(capsys):
    """Run a command that must fail, and give its code and only line."""

    def run(*words):
        code = main(words)
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("scorefleet: ")
        return code, line.removeprefix("scorefleet: ")

    return run


@pytest.mark.parametrize("command", ["nothing", *COMMANDS])
def test_odd_words_are_one_line_and_write_nothing(line_of, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in WORDS:
        if command != "rollback" or "\0" in word or "--" in word:  # to which the others are names of models
            code, line = line_of(command, word)
            assert code in CODES
            assert line.isprintable()
    assert [*tmp_path.iterdir()] == []


def test_passwords_in_what_was_given_are_not_shown(line_of):
    words = ["sample", "--target", "a:b", "--dim", "2", "--cluster.address", "ray://me:canary@h:10001"]
    code, line = line_of(*words)
    assert code == 2
    assert "canary" not in line
    assert "@h:10001" in line


def test_what_was_given_is_cut_where_it_is_as_long_as_a_file(line_of):
    code, line = line_of("rollback", "digits", "--tracking-uri", "x" * 100_000)
    assert code == 2
    assert len(line) < 1300
    assert line.startswith("register.tracking_uri must start with")
    assert line.endswith("xxx'")


def test_a_wrong_command_names_the_nearest(line_of):
    assert line_of("verfy") == (2, "unknown command 'verfy'; did you mean 'verify'?")


def test_the_version_is_printed(capsys):
    assert [main(["--version"]), main(["-V"])] == [0, 0]
    assert capsys.readouterr().out == "scorefleet 0.1.0\n" * 2


def test_a_folder_that_is_gone_is_one_line(line_of, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert line_of("verify", "x") == (4, "the current folder is not there (No such file or directory): cd to another")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "free some space"), (errno.EMFILE, "raise the limit of open files (ulimit -n)")],
)
def test_an_error_of_the_system_is_one_line_with_its_own_remedy(number, remedy, capsys):
    def fail(words):
        raise OSError(number, os.strerror(number), "there")

    assert code_of(fail, []) == 4
    assert capsys.readouterr().err == f"scorefleet: there: {os.strerror(number)}; {remedy}\n"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_signals_that_stop_a_command_raise_in_it_and_are_its_code(number, capsys):
    def wait(words):
        signal.raise_signal(number)

    before = signal.getsignal(number)
    try:
        assert code_of(wait, []) == 128 + number
    finally:
        signal.signal(number, before)
    assert capsys.readouterr().err == "scorefleet: interrupted. Run the same command to resume.\n"


def test_what_nohup_has_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert code_of(lambda words: signal.raise_signal(signal.SIGHUP) or 0, []) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_hangup_does_not_cut_short_the_end():
    """Who closes a terminal hangs up twice: once to its foreground processes, once to its shell's jobs."""
    stop = "import os, signal, sys; from scorefleet.pipelines.ending import code_of; "
    stop += (
        "code = code_of(lambda words: signal.raise_signal(signal.SIGHUP), []); os.kill(os.getpid(), signal.SIGHUP); "
    )
    done = subprocess.run([sys.executable, "-c", f"{stop}sys.exit(code)"], capture_output=True, check=False)
    assert done.returncode == 129
