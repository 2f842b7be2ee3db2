"""Whole files, written once, in a folder or a bucket: every write is put-if-absent, and is durable before it counts.

obstore's own `put(mode="create")` into a folder links a file that it never synced (seen by strace), so after
a power cut a name may stand for half a file. Into folders we therefore write ourselves (`synced`): a nameless file,
its fsync, the link that gives it its name or fails, the fsync of every folder above it.
"""

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import LocalStore, ObjectStore, S3Store
from pyarrow import fs

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.remedies import remedy_of
from scorefleet.tasks.store import bounds, bucket, bucket_files, synced
from scorefleet.tasks.store.direct import Memory
from scorefleet.tasks.store.locks import locked
from scorefleet.tasks.store.places import folder_of

LARGE_BYTES = 64 * 2**20
"""Of files that are read at once without a look at how much memory there is."""


def open_store(uri: str, writable: bool = True) -> ObjectStore:
    """A folder or bucket as an object store; a folder is made when absent. It is proven to take a file before work is
    spent on it: a folder each time, a bucket once a process.

    With `writable=False` it must exist and is left as it is. `StorageError` where that cannot be.
    """
    if uri.startswith(bucket.SCHEME):
        return _open_bucket(bucket.canonical(uri), writable)
    folder = folder_of(uri)
    with _one_line_errors(f"folder {folder}"):
        if writable:
            synced.make_folder(folder)
            probe = folder / f".{secrets.token_hex(8)}.probe"
            try:
                probe.write_bytes(b"scorefleet")
            finally:
                probe.unlink(missing_ok=True)  # a full disk may take the name and not the bytes
        elif not folder.is_dir():
            raise StorageError(f"folder {folder} does not exist: check the path")
        return LocalStore(folder)


def _open_bucket(uri: str, writable: bool) -> S3Store:
    with _one_line_errors(uri):
        store = bucket.open_bucket(uri)
        if writable and uri not in _proven:
            bucket.prove_writable(store, uri)
            _proven.add(uri)
        elif uri not in _proven and not any(bucket.attempt(lambda: next(iter(obstore.list(store, chunk_size=1)), []))):
            raise StorageError(f"{uri} does not exist: check the path")
        return store


_proven: set[str] = set()
"""Buckets' places that this process has seen to take files."""


def put_if_absent(store: ObjectStore, path: str, data: bytes) -> bool:
    """Keep `data` under `path` unless something is there already; True when this call did it, durably.

    Of several writers of one path exactly one gets True. When any returns, the file is whole and on disk.
    """
    if isinstance(store, LocalStore):
        assert store.prefix is not None
        with _one_line_errors(f"{store.prefix}/{path}"):
            return synced.link_if_absent(Path(store.prefix), path, data)
    with _one_line_errors(_name(store, path)):
        try:
            bucket.attempt(lambda: obstore.put(store, path, data, mode="create"))
        except AlreadyExistsError:
            return False
        return True


def put_instead(store: ObjectStore, path: str, data: bytes, is_older: Callable[[bytes], bool]) -> None:
    """Keep `data` under `path` where nothing is yet, or over what is there if that `is_older`; durable on return.

    Nothing is put over what another has put there since it was looked at: a bucket compares its ETag, and who would
    replace a file of a folder holds the lock of it.
    """
    if put_if_absent(store, path, data) or not is_older(read(store, path)):
        return
    with _one_line_errors(_name(store, path)):
        if isinstance(store, LocalStore):
            place = _local(store, path)
            with locked(place.with_name(lock_of(place.name))):
                if is_older(read(store, path)):
                    replace(place.parent, place.name, data)
            return
        while True:
            found = bucket.attempt(lambda: obstore.get(store, path))
            if not is_older(found.bytes().to_bytes()):
                return
            try:
                bucket.put_over(store, path, data, str(found.meta["e_tag"]))
            except PreconditionError:
                continue  # it is another by now
            return


def lock_of(name: str) -> str:
    """The file that is locked while another is replaced in a folder."""
    return f".{name}.lock"


def put_over(store: ObjectStore, path: str, data: bytes) -> None:
    """Keep `data` under `path`, whole or not at all, over what is there; durable on return."""
    if isinstance(store, LocalStore):
        place = _local(store, path)
        replace(place.parent, place.name, data)
        return
    with _one_line_errors(_name(store, path)):
        bucket.attempt(lambda: obstore.put(store, path, data))


def remove(store: ObjectStore, path: str) -> None:
    """Remove an object."""
    with _one_line_errors(_name(store, path)):
        if isinstance(store, LocalStore):
            _local(store, path).unlink()
        else:
            bucket.attempt(lambda: obstore.delete(store, path))


def replace(folder: Path, name: str, data: bytes) -> None:
    """Write `folder/name`, whole or not at all, over what an earlier try left there; durable on return."""
    with _one_line_errors(f"{folder / name}"):
        synced.replace(folder, name, data)


def read(store: ObjectStore, path: str) -> bytes:
    """All of an object; `StorageError` when there is none, or a link, which could lead out of the store."""
    with _one_line_errors(_name(store, path)):
        if not isinstance(store, LocalStore):
            return bucket.attempt(lambda: _got(store, path))
        # Not by obstore, whose threads a forked process, such as torch's workers, lacks.
        return _file(store, path).read_bytes()


@contextmanager
def lent(store: ObjectStore, path: str, memory: Memory) -> Iterator[bytes | memoryview]:
    """`read` for what is looked at and let go: of a folder as the disk has it, in memory that is another's later."""
    if not isinstance(store, LocalStore):
        yield read(store, path)
        return
    with _one_line_errors(path), memory.lent(_file(store, path)) as data:
        yield data


def exists(store: ObjectStore, path: str) -> bool:
    """Whether there is an object of that name."""
    with _one_line_errors(_name(store, path)):
        try:
            bucket.attempt(lambda: obstore.head(store, path))
        except FileNotFoundError:
            return False
        return True


def filesystem(store: ObjectStore) -> fs.FileSystem:
    """The objects for pyarrow, by their paths in the store."""
    if isinstance(store, S3Store):
        return bucket_files.filesystem(store)
    assert isinstance(store, LocalStore)
    return fs.SubTreeFileSystem(str(store.prefix), fs.LocalFileSystem())


def names(store: ObjectStore, prefix: str | None = None) -> set[str]:
    """The paths of all objects, or of those in a folder; of half-written ones too."""

    def listed() -> set[str]:
        return {meta["path"] for batch in obstore.list(store, prefix, chunk_size=1000) for meta in batch}

    with _one_line_errors(_name(store, prefix or "")):
        return listed() if isinstance(store, LocalStore) else bucket.attempt(listed)


def _local(store: LocalStore, path: str) -> Path:
    """Where an object of a folder lies; a way there that could lead out of the store, by a link or `..`, is refused."""
    root, folders = str(store.prefix), path.split("/")[:-1]
    if ".." in folders:
        raise StorageError(f"{path} is not below {root}: nothing of a store is")
    for folder in accumulate(folders, os.path.join, initial=root):
        if folder != root and Path(folder).is_symlink():
            raise StorageError(f"{folder} is a link: put the folder itself there")
    return Path(root, path)


def _file(store: LocalStore, path: str) -> Path:
    """Where an object lies that is to be read, if it is a file itself: a link could lead out of the store, a pipe would
    be waited for, and more than memory holds would be the end of the command.
    """
    local = _local(store, path)
    found = local.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise StorageError(f"{path} is a link: put the file itself there")
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{path} is no regular file: remove it, or put the file itself there")
    _require_room(path, found.st_size)
    return local


def _got(store: ObjectStore, path: str) -> bytes:
    found = obstore.get(store, path)
    _require_room(path, found.meta["size"])
    return found.bytes().to_bytes()


def _require_room(path: str, size: int) -> None:
    if size > LARGE_BYTES and size > bounds.most_bytes():
        raise StorageError(f"{path} has {size:,} bytes, for which this machine has no memory: use a larger one")


def _name(store: ObjectStore, path: str) -> str:
    """What an object is called to people."""
    if not isinstance(store, S3Store):
        return path
    return "/".join(filter(None, (f"{bucket.SCHEME}{store.config.get('bucket')}", str(store.prefix or ""), path)))


@contextmanager
def _one_line_errors(what: str) -> Iterator[None]:
    """Say in one line what could not be read or written, and what to do."""
    try:
        yield
    except FileNotFoundError as error:
        if "no such bucket" in bucket.reason_of(error):
            raise _in_bucket(what, error) from None
        raise StorageError(f"{what} does not exist: it was moved, or never written") from None
    except OSError as error:
        raise StorageError(
            f"{what} cannot be used: {error.strerror or _first_line(error)}; {remedy_of(error)}"
        ) from error
    except BaseError as error:  # without its cause: a server's answer may quote a key
        if what.startswith(bucket.SCHEME):
            raise _in_bucket(what, error) from None
        raise StorageError(f"{what} cannot be used: {_first_line(error)}") from error


def _in_bucket(what: str, error: Exception) -> StorageError:
    return StorageError(f"{what} cannot be used: {bucket.reason_of(error)}; {bucket.remedy_of(error)}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
