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


class Memory:
    """What files are read into, by any number of threads: as much as there ever were readers at once."""

    def __init__(self) -> None:
        self._idle: list[mmap.mmap] = []

    @contextmanager
    def lent(self, path: Path) -> Iterator[memoryview]:
        """All of a file, in memory that is another's afterwards; through the cache where the file system cannot do
        this.
        """
        try:
            memory, size = self._read(path, getattr(os, "O_DIRECT", 0))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            memory, size = self._read(path, 0)
        try:
            yield memoryview(memory)[:size]
        finally:
            self._idle.append(memory)

    def _read(self, path: Path, how: int) -> tuple[mmap.mmap, int]:
        """Memory that begins with a file, and how many bytes it has; fewer than its size where it is cut meanwhile."""
        descriptor = os.open(path, os.O_RDONLY | how)
        try:
            size, done = os.fstat(descriptor).st_size, 0
            memory = self._take(-(-size // BLOCK) * BLOCK)
            whole = memoryview(memory)
            while done < size and (count := os.readv(descriptor, [whole[done:]])):
                done += count
            return memory, min(done, size)
        finally:
            os.close(descriptor)

    def _take(self, size: int) -> mmap.mmap:
        """Memory that begins at the start of a page."""
        memory = self._idle.pop() if self._idle else None
        return memory if memory is not None and len(memory) >= size else mmap.mmap(-1, max(size, BLOCK))
