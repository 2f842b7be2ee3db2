"""Runs a user's own code: whatever it raises is one line, and it can neither end this process nor leave it changed."""

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor

from scorefleet.tasks.errors import DataError, UserError
from scorefleet.tasks.records.redaction import redact

MAX_LETTERS, MOST_READ = 300, 10_000
CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[^\x20-\x7e\xa0-\U0010ffff]")
"""Escape sequences, and all that is no letter on a line."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class EndOfProcess(BaseException):
    """User code that called `os._exit` in the process of the command."""


class Interrupt(KeyboardInterrupt):
    """Ctrl-C, which is told by its class from a `KeyboardInterrupt` that user code raises."""


class UserFunction:
    """A user's function of points, which gets a copy of them, and can only return, or raise `kind` of one line."""

    def __init__(self, what: str, function: Callable[..., Any], kind: type[UserError] = DataError):
        self.what, self.function, self.kind = what, function, kind
        self.dtype = torch.get_default_dtype()

    def __call__(self, x: Tensor) -> Any:
        before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
        _restore(self.dtype, *before[1:])
        try:
            value = self.function(x.clone())  # in-place operations then change nobody's points
        except (Exception, SystemExit, EndOfProcess, KeyboardInterrupt) as error:
            raise self._refusal(error) from error
        finally:
            _restore(*before)
        is_subclass = isinstance(value, Tensor) and type(value) is not Tensor
        return value.as_subclass(Tensor) if is_subclass else value

    def over(self, function: Callable[..., Any]) -> "UserFunction":
        """Another function, which calls this one's and stands for it."""
        other = UserFunction(self.what, function, self.kind)
        other.dtype = self.dtype
        return other

    def _refusal(self, error: BaseException) -> BaseException:
        if isinstance(error, UserError) or is_interrupt(error):
            return error
        if isinstance(error, Exception):
            return self.kind(f"{self.what} raised {described(error)}")
        return self.kind(f"{self.what} ended the process ({described(error)}): have it raise an error instead")


@contextmanager
def contained(what: str, kind: type[UserError], remedy: str) -> Iterator[None]:
    """Run user code that may do anything, such as a module that is imported. It prints to standard error; the signal
    handlers, the working folder and torch's settings are as they were after it, but for the default dtype.
    """
    process, folder, handlers = os.getpid(), os.getcwd(), _handlers()  # noqa: PTH109
    modes = torch.is_grad_enabled(), torch.get_num_threads()
    try:
        with contextlib.redirect_stdout(sys.stderr), _no_exit(process):
            yield
    except (SystemExit, EndOfProcess, KeyboardInterrupt) as error:
        if is_interrupt(error):
            raise
        raise kind(f"{what} ended the process ({described(error)}): {remedy}") from error
    finally:
        if os.getpid() != process:
            os._exit(0)  # a child of user code that would go on as a second command
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.chdir(folder)
        _restore(torch.get_default_dtype(), *modes)


def described(error: BaseException) -> str:
    """`ValueError: its text`, on one line that a terminal can show and that holds no secret."""
    try:
        text = str(error)
    except Exception:  # its own __str__ raises
        text = "its text cannot be made"
    lines = (CONTROL.sub("", redact(line)).strip() for line in text[:MOST_READ].splitlines())
    line = next(filter(None, lines), "")
    line = line if len(line) <= MAX_LETTERS else f"{line[:MAX_LETTERS]}..."
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def is_interrupt(error: BaseException) -> bool:
    """Whether a signal raised it rather than user code."""
    return isinstance(error, KeyboardInterrupt) and type(error) is not KeyboardInterrupt


def _handlers() -> dict[int, Any]:
    """The handlers of signals, of which Ctrl-C's raises `Interrupt` from now on; none outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    return {number: handler for number, handler in handlers.items() if handler is not None}


def _interrupt(number: int, frame: object) -> NoReturn:
    raise Interrupt


@contextmanager
def _no_exit(process: int) -> Iterator[None]:
    """Have `os._exit`, which ends a process without a word, raise in this one; its children end by it as ever."""
    leave = os._exit

    def refuse(status: int) -> NoReturn:
        if os.getpid() != process:
            leave(status)
        raise EndOfProcess(status)

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = leave


def _restore(dtype: torch.dtype, is_grad_enabled: bool, num_threads: int) -> None:
    if torch.get_default_dtype() != dtype:
        torch.set_default_dtype(dtype)
    if torch.is_grad_enabled() != is_grad_enabled:
        torch.set_grad_enabled(is_grad_enabled)
    if torch.get_num_threads() != num_threads:
        torch.set_num_threads(num_threads)
