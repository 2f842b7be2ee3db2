"""Reads files past the page cache: what the disk itself has, and what is cached of other files stays so.

To hash a file so takes a quarter less of the processor, if memory is used again: new pages cost what the cache costs.
"""

import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BLOCK = 4096
"""Bytes that lengths and addresses are multiples of where the cache is passed by."""

_idle: list[mmap.mmap] = []
"""Memory that nobody reads from now: as much as there ever were readers at once."""


@contextmanager
def lent(path: Path) -> Iterator[memoryview]:
    """All of a file, in memory that is another's afterwards; through the cache where the file system cannot do this."""
    try:
        memory, size = _read(path, getattr(os, "O_DIRECT", 0))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        memory, size = _read(path, 0)
    try:
        yield memoryview(memory)[:size]
    finally:
        _idle.append(memory)


def _read(path: Path, how: int) -> tuple[mmap.mmap, int]:
    """Memory that begins with a file, and how many bytes that has; fewer than its size where it is cut meanwhile."""
    descriptor = os.open(path, os.O_RDONLY | how)
    try:
        size, done = os.fstat(descriptor).st_size, 0
        memory = _take(-(-size // BLOCK) * BLOCK)
        whole = memoryview(memory)
        while done < size and (count := os.readv(descriptor, [whole[done:]])):
            done += count
        return memory, min(done, size)
    finally:
        os.close(descriptor)


def _take(size: int) -> mmap.mmap:
    """Memory that begins at the start of a page."""
    memory = _idle.pop() if _idle else None
    return memory if memory is not None and len(memory) >= size else mmap.mmap(-1, max(size, BLOCK))
