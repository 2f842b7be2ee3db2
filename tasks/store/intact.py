"""Compares files with the digests that were published of them, at the speed of the disk.

A file is hashed once a process, and again when its inode, size or times are others. A store in a bucket, which has
checksums of its own, is compared by the names of its shards alone.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from obstore.store import LocalStore

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.document import NAME as DATASET
from scorefleet.tasks.store.manifest import SampleStore

_hashed: dict[str, tuple[tuple[int, ...], str]] = {}


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, read as a stream."""
    with path.open("rb") as file:
        state = os.fstat(file.fileno())
        now = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        before, digest = _hashed.get(str(path), (None, ""))
        if before != now:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            _hashed[str(path)] = now, digest
    return digest


def flaw_of(path: Path, num_bytes: int, sha256: str) -> str | None:
    """Return what is wrong with a file that should have this size and sha256; None if it is as published."""
    try:
        if not path.is_file():
            return f"{path} is missing"
        found = path.stat().st_size
        if found != num_bytes:
            return f"{path} is damaged: it has {found:,} bytes and had {num_bytes:,} when it was published"
        is_same = sha256_of(path) == sha256
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return None if is_same else f"{path} is damaged: its sha256 is not the published one"


def flaw_of_store(uri: str, digest: str | None, may_be_extended: bool) -> str | None:
    """Return what is wrong with a store whose rows were published with this digest; None if it is as published. Without
    a digest it is compared with its own records.
    """
    try:
        store = SampleStore(uri, writable=False)
        description = store.description()
        if digest not in (None, description["digest"]) and not (
            may_be_extended and len(description.get("extents", ())) > 1
        ):
            return f"{uri} holds other rows than were published"
        return _flaw_of_files(uri, store, description)
    except StorageError as error:
        return str(error)


def _flaw_of_files(uri: str, store: SampleStore, description: dict[str, Any]) -> str | None:
    folder = objects.open_store(uri, writable=False)
    if not isinstance(folder, LocalStore):
        names = objects.names(folder)
        lost = next((entry.path for entry in store.each_entry() if entry.path not in names), None)
        return f"{uri}/{lost} is missing" if lost else None
    place = Path(str(folder.prefix))
    for name, sha256 in description.get("files", {}).items():
        if not (place / name).is_file():
            return f"{place / name} is missing"
        if sha256_of(place / name) != sha256:
            return f"{place / name} is damaged: its sha256 is not the published one"
    flaws = (flaw_of(place / entry.path, entry.bytes, entry.sha256) for entry in store.each_entry())
    return next(filter(None, flaws), None)


def is_store(folder: Path) -> bool:
    """Whether a folder holds a published store, which proves itself."""
    return (folder / DATASET).is_file()
