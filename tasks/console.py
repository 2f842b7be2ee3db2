"""Prints lines for people: nothing in them can steer a terminal, and a reader that goes away ends no run.

Lines hold names of files and texts of exceptions that anyone may have made. All of them pass here, and no other module
prints (ruff's T20).
"""

import os
import shutil
import sys
import unicodedata
from typing import IO

from scorefleet.tasks.errors import StorageError

NOT_PRINTED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Control characters, escape codes and line ends; formats such as the bidirectional ones; halves of characters."""

CLEAR = "\x1b[K"


def plain(text: str, kept: str = "") -> str:
    r"""Return `text` with what could steer a terminal or end a line escaped, such as `\x1b`; but for those `kept`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in kept or unicodedata.category(char) not in NOT_PRINTED else _escaped(char) for char in text
    )


def output(line: str) -> None:
    """Print a line of the result on standard output; `StorageError` if that is a device that is full, or the like."""
    stream(f"{plain(line)}\n")


def stream(text: str) -> None:
    """Print a piece of another command's output as it comes, whose lines and tabs are its own."""
    _write(sys.stdout, plain(text, kept="\n\t\r"))


def notify(line: str) -> None:
    """Print a line of progress or advice on standard error, which nobody has to read."""
    _write(sys.stderr, f"{plain(line)}\n")


def redraw(line: str, is_last: bool) -> None:
    """Print a line of progress over the one before it, on a terminal, as far as its width goes: what wraps stays."""
    _write(sys.stderr, f"{CLEAR}{plain(line)[: width() - 1]}" + ("\n" if is_last else "\r"))


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns


def prepare() -> None:
    """Have three standard streams, none of which fails for want of a character.

    One that is closed becomes /dev/null: the next file that is opened would get its number, and what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        file = getattr(sys, name)
        if file is None:
            _discard(number)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
        elif number and hasattr(file, "reconfigure"):
            file.reconfigure(errors="backslashreplace")


def finish() -> None:
    """Print what waits in a buffer, such as argparse's help, while it can still be reported where that fails."""
    _write(sys.stdout, "")
    _write(sys.stderr, "")


def _write(file: IO[str], text: str) -> None:
    try:
        file.write(text)
        file.flush()
    except OSError as error:
        _discard(file.fileno())
        if file is sys.stdout and not isinstance(error, BrokenPipeError):
            raise StorageError(
                f"standard output cannot be written ({error.strerror}): send it elsewhere; --summary FILE keeps the "
                "outcome as JSON"
            ) from error


def _discard(number: int) -> None:
    """Let whatever else is written there, by this process and those that it starts, go nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
