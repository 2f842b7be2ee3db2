"""Objects of a bucket as files for pyarrow, which reads the pages that it wants by ranges, with our own retries.

pyarrow's own client of S3 gives up where the answer of a server in trouble is longer than the range it asked for.
"""

import io

import obstore
from obstore.store import S3Store
from pyarrow import fs

from scorefleet.tasks.store import bucket


def filesystem(store: S3Store) -> fs.FileSystem:
    """For reading alone; paths are those in the store."""
    return fs.PyFileSystem(fs.FSSpecHandler(_Objects(store)))


class _Objects:
    """As much of fsspec's interface as pyarrow needs to read files whose names it is given."""

    protocol = "s3"

    def __init__(self, store: S3Store):
        self.store = store

    def isfile(self, path: str) -> bool:
        return True  # an object that is not there is found out by opening it

    def open(self, path: str, mode: str) -> io.RawIOBase:
        assert mode == "rb"
        return _Object(self.store, path)


class _Object(io.RawIOBase):
    """An object, read by ranges."""

    def __init__(self, store: S3Store, path: str):
        self.store, self.path, self._position = store, path, 0
        self._size = bucket.attempt(lambda: obstore.head(store, path))["size"]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]  (collections.abc.Buffer is 3.12's)
        start, end = self._position, min(self._position + len(buffer), self._size)
        if end <= start:
            return 0
        data = bucket.attempt(lambda: obstore.get_range(self.store, self.path, start=start, end=end))
        buffer[: end - start] = memoryview(data)
        self._position = end
        return end - start
