"""An exclusive lock between processes of one machine, which the kernel releases when its holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock at `path` while the block runs; wait for it first."""
    with _opened(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def tried(path: Path, patience_s: float) -> Iterator[int | None]:
    """Hold the lock while the block runs, or give None where another holds it and keeps it for so long. A process that
    is given the descriptor holds it too.
    """
    deadline = time.monotonic() + patience_s
    with _opened(path) as file:
        while not (is_ours := _taken(file)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield file.fileno() if is_ours else None


def _opened(path: Path) -> IO[bytes]:
    """A file that is locked; neither a pipe, for which it would be waited, nor where a link leads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o666), "ab")


def _taken(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
