"""Whole files, written once: every write is put-if-absent, and is on disk before it counts.

obstore's own `put(mode="create")` into a folder links a file that it never synced (seen by strace), so after
a power cut a name may stand for half a file. Into folders we therefore write ourselves, in the order that
leaves no such moment: a nameless file, its fsync, the link that gives it its name or fails, the fsync of
every folder above it.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore

from tasks.errors import StorageError, UsageError


def folder_of(uri: str) -> Path:
    """The local folder that a path or `file://` URI names; any other scheme is refused."""
    scheme, separator, rest = uri.partition("://")
    if separator and scheme != "file":
        raise UsageError(f"{uri} cannot be opened: only folders and file:// URIs are supported yet")
    return Path(rest if separator else uri).resolve()


def open_store(uri: str, writable: bool = True) -> ObjectStore:
    """A folder as an object store; made when absent, and proven to take a file before work is spent on it.

    With `writable=False` the folder must exist and is left as it is. `StorageError` where that cannot be.
    """
    folder = folder_of(uri)
    with _one_line_errors(f"folder {folder}"):
        if writable:
            _make_folder(folder)
            probe = folder / f".{secrets.token_hex(8)}.probe"
            probe.write_bytes(b"scorefleet")
            probe.unlink()
        elif not folder.is_dir():
            raise StorageError(f"folder {folder} does not exist: check the path")
        return LocalStore(folder)


def put_if_absent(store: ObjectStore, path: str, data: bytes) -> bool:
    """Keep `data` under `path` unless something is there already; True when this call did it, durably.

    Of several writers of one path exactly one gets True. When any returns, the file is whole and on disk.
    """
    if isinstance(store, LocalStore):
        assert store.prefix is not None
        with _one_line_errors(f"{store.prefix}/{path}"):
            return _link_if_absent(Path(store.prefix), path, data)
    with _one_line_errors(path):
        try:
            obstore.put(store, path, data, mode="create")
        except AlreadyExistsError:
            return False
        return True


def replace(folder: Path, name: str, data: bytes) -> None:
    """Write `folder/name`, whole or not at all, over what an earlier try left there; durable on return."""
    with _one_line_errors(f"{folder / name}"):
        _make_folder(folder)
        temporary = _write_synced(folder, data)
        temporary.replace(folder / name)
        _sync_folder(folder)


def read(store: ObjectStore, path: str) -> bytes:
    """All of an object; `StorageError` when there is none, or a link, which could lead out of the store."""
    with _one_line_errors(path):
        if not isinstance(store, LocalStore):
            return obstore.get(store, path).bytes().to_bytes()
        local = Path(str(store.prefix)) / path
        if local.resolve() != local:
            raise StorageError(f"{path} is a link: put the file itself there")
        return local.read_bytes()  # not by obstore, whose threads a forked process, such as torch's workers, lacks


def exists(store: ObjectStore, path: str) -> bool:
    """Whether there is an object of that name."""
    with _one_line_errors(path):
        try:
            obstore.head(store, path)
        except FileNotFoundError:
            return False
        return True


def names(store: ObjectStore, prefix: str | None = None) -> set[str]:
    """The paths of all objects, or of those in a folder; of half-written ones too."""
    with _one_line_errors("the store"):
        return {meta["path"] for batch in obstore.list(store, prefix, chunk_size=1000) for meta in batch}


def _link_if_absent(root: Path, path: str, data: bytes) -> bool:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    is_ours = not target.exists() and _link(target, data)
    # Also when another was first: it may have been killed between its link and this.
    for folder in (target.parent, *target.parent.parents):
        _sync_folder(folder)
        if folder == root:
            break
    return is_ours


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each of them on disk before the next."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _link(target: Path, data: bytes) -> bool:
    temporary = _write_synced(target.parent, data)
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def _write_synced(folder: Path, data: bytes) -> Path:
    """A file of a name that no other writer has and readers of data sets pass over."""
    temporary = folder / f".{secrets.token_hex(8)}.partial"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _one_line_errors(what: str) -> Iterator[None]:
    """Say in one line what could not be read or written, and what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(f"{what} does not exist: it was moved, or never written") from error
    except OSError as error:
        remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose another with --root"
        raise StorageError(f"{what} cannot be used: {error.strerror or _first_line(error)}; {remedy}") from error
    except BaseError as error:
        raise StorageError(f"{what} cannot be used: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
