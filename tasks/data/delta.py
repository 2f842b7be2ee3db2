"""Reads a Delta table through delta-rs, which knows what rows its log has removed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorefleet.tasks.errors import DataError


def digest_of(folder: Path) -> str:
    """Return the sha256 of the table's version and of the files that hold its rows."""
    return _digest(_open(folder), folder)


def read(folder: Path) -> tuple[pa.Table, str, str]:
    """Return the rows, the digest of what they were read from, and the version in words."""
    opened = _open(folder)
    try:
        table = opened.to_pyarrow_table()
    except Exception as error:  # of whatever feature of the format the library does not know
        raise _unreadable(folder, error) from error
    words = f"Delta table {folder.name}, version {opened.version()}"
    return table.replace_schema_metadata(None), _digest(opened, folder), words


def _open(folder: Path) -> Any:
    try:
        from deltalake import DeltaTable
    except ImportError as error:
        raise DataError(
            f"{folder} is a Delta table, which needs the package deltalake: pip install 'scorefleet[delta]'"
        ) from error
    try:
        return DeltaTable(str(folder))
    except Exception as error:  # of a log that is damaged
        raise _unreadable(folder, error) from error


def _digest(opened: Any, folder: Path) -> str:
    places = {path.name: path for path in folder.rglob("*") if path.is_file()}
    names = sorted(Path(uri).name for uri in opened.file_uris())  # each of its own, where paths are quoted
    missing = [name for name in names if name not in places]
    if missing:
        raise DataError(f"the Delta table {folder} lacks its file {missing[0]}: restore it, or give a whole table")
    try:
        hashes = [[name, hashlib.sha256(places[name].read_bytes()).hexdigest()] for name in names]
    except OSError as error:
        raise _unreadable(folder, error) from error
    identity = ["delta", opened.metadata().id, opened.version(), hashes]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _unreadable(folder: Path, error: Exception) -> DataError:
    words = (str(error) or type(error).__name__).splitlines()[0]
    return DataError(f"the Delta table {folder} cannot be read: {words}")
