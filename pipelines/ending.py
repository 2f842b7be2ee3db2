"""How a command ends: what went wrong is one line on standard error, and its kind the exit code."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from scorefleet.tasks import console
from scorefleet.tasks.console import notify
from scorefleet.tasks.errors import StorageError, UsageError, UserError
from scorefleet.tasks.records.redaction import without_passwords
from scorefleet.tasks.remedies import remedy_of

STOPPING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Stop a command as Ctrl-C does, so that its Ray ends with it: nothing else would end that one's processes."""


EXTRA_OF = {"ray": "ray", "mlflow": "mlflow", "matplotlib": "report", "PIL": "report", "jinja2": "report"}
"""Which of our extras brings a package that not everyone installs."""

LONGEST_LINE = 1200
"""Characters of a line that says what went wrong."""


class Stopped(KeyboardInterrupt):
    """One of `STOPPING`."""

    number = signal.SIGINT


def code_of(command: Callable[[Sequence[str]], int], words: Sequence[str]) -> int:
    """Run a command and return its exit code; 128 and its number where a signal has stopped it."""
    console.prepare()
    with _stoppable():
        try:
            return _code_of(command, words)
        except UserError as error:
            said = str(getattr(error, "cause", error))  # what a remote worker raised comes wrapped
            notify(f"scorefleet: {_short(without_passwords(said))}")
            return error.exit_code
        except KeyboardInterrupt as stop:
            kept = f"; {stop.args[0]}" if stop.args else ""
            notify(f"scorefleet: interrupted{kept}. Run the same command to resume.")
            return 128 + getattr(stop, "number", signal.SIGINT)


def _short(said: str) -> str:
    """A line with all of a sentence but the middle of what was given, if that is as long as a file."""
    return said if len(said) <= LONGEST_LINE else f"{said[: LONGEST_LINE // 2]} ... {said[-LONGEST_LINE // 2 :]}"


def _code_of(command: Callable[[Sequence[str]], int], words: Sequence[str]) -> int:
    try:
        _require_words(words)
        code = command(words)
        console.finish()
        return code
    except SystemExit:  # after a help
        console.finish()
        raise
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA_OF:
            raise
        raise UsageError(f"this needs {package}: pip install 'scorefleet[{EXTRA_OF[package]}]'") from error
    except UnicodeEncodeError as error:
        raise UsageError(_not_encoded(str(error.object), error.encoding)) from error
    except OSError as error:
        named = f"{error.filename!s}: " if error.filename else ""
        raise StorageError(f"{named}{error.strerror or error}; {remedy_of(error)}") from error
    except MemoryError as error:
        reason = str(error) or "no more can be had"
        raise StorageError(f"memory is exhausted ({reason}): free some, or ask for fewer rows at a time") from error


def _require_words(words: Sequence[str]) -> None:
    """Refuse words that can name nothing, and to stand in a folder that is gone."""
    for word in words:
        if "\0" in word:
            raise UsageError(f"{word!r} holds a NUL, which no name can")
        try:
            word.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UsageError(_not_encoded(word, sys.getfilesystemencoding())) from error
    try:
        os.getcwd()  # noqa: PTH109
    except OSError as error:
        raise StorageError(f"the current folder is not there ({error.strerror}): cd to another") from error


def _not_encoded(text: str, encoding: str) -> str:
    return f"{text[:200]!r} is not text in {encoding}: rename it, or set a locale of UTF-8, such as LC_ALL=C.UTF-8"


@contextmanager
def _stoppable() -> Iterator[None]:
    """Answer `STOPPING`, but for what is ignored already, as nohup has SIGHUP ignored."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _stop:  # what has stopped the command stays ignored while Ray ends
                signal.signal(number, handler)


def _stop(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # a terminal that is closed hangs up twice
    stop = Stopped()
    stop.number = signal.Signals(number)
    raise stop
