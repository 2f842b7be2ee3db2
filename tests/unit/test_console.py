"""What is printed cannot steer a terminal, and whoever reads it may go away."""

import os
import subprocess
import sys

import pytest

from scorefleet.tasks.console import notify, output, plain, stream

COMMAND = [sys.executable, "-m", "scorefleet"]
NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = ["bash", "-o", "pipefail", "-c", line, "bash", *COMMAND]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | environment)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("two\nlines\r\u2028", r"two\nlines\r\u2028"),
        ("\u202egnp.exe\u2066\u200f", r"\u202egnp.exe\u2066\u200f"),
        ("\x9b31m\x7f\0", r"\x9b31m\x7f\x00"),
        ("\udcff", r"\udcff"),
        ("Größe 尺寸 é →", "Größe 尺寸 é →"),
    ],
)
def test_nothing_in_a_line_steers_a_terminal_or_ends_the_line(text, printed, capsys):
    assert plain(text) == printed
    output(text)
    notify(text)
    assert capsys.readouterr() == (f"{printed}\n", f"{printed}\n")


def test_another_commands_output_keeps_its_lines_and_nothing_else(capsys):
    stream("a\tb\r\nc\x1b[31m")
    assert capsys.readouterr().out == "a\tb\r\nc\\x1b[31m"


def test_a_command_whose_reader_goes_away_ends_as_it_would_have(tiny_copy):
    folder = tiny_copy("target")
    for path in (folder / "states").iterdir():
        path.unlink()
    done = shell(f'"$@" verify {folder} | head -1')
    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout.startswith("missing: states/")


def test_a_reader_of_messages_that_goes_away_ends_nothing(tiny_copy):
    done = shell(f'"$@" verify {tiny_copy("target")}/none 2>&1 >/dev/null | true; exit ${{PIPESTATUS[0]}}')
    assert (done.returncode, done.stderr) == (4, "")


@pytest.mark.parametrize("words", ["--version", "verify --help", "verify {store}"])
def test_a_full_device_is_one_line_and_its_code(words, tiny_copy):
    done = shell(f'"$@" {words.format(store=tiny_copy("target"))} > /dev/full')
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith("scorefleet: standard output cannot be written (No space left on device): ")


@pytest.mark.parametrize("closed", [">&- 2>&- <&-", "2>/dev/full"])
def test_streams_that_are_closed_are_as_if_nobody_read(closed, tiny_copy):
    folder = tiny_copy("target")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = shell(f'"$@" verify {folder} {closed}')
    assert (done.returncode, done.stderr) == (0, "")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_locale_without_a_character_prints_its_escape(tiny_copy):
    folder = tiny_copy("target")
    (folder / "Größe").write_bytes(b"")
    done = shell(f'"$@" verify {folder}', **NO_UTF8)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"Gr\xf6\xdfe" in done.stdout


def test_the_letters_of_a_configuration_are_the_same_in_any_locale(tmp_path):
    (tmp_path / "c.yaml").write_text("prepare: {data: Größe.parquet}\n", encoding="utf-8")
    done = shell(f'"$@" run {tmp_path}/c.yaml --root {tmp_path}/尺寸', **NO_UTF8)
    assert done.returncode == 3
    assert r"Gr\xf6\xdfe.parquet does not exist" in done.stderr
