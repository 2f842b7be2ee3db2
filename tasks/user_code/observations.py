"""Reads the data that a user gives a density with `--data FILE`, as the `data` that its function gets.

A table (whatever `scorefleet run --data` reads) is a dict of its columns: numbers as a tensor [row, ...] in float64,
whole numbers in int64, truth values in bool, and text as a list. A .npy file is a tensor, a .npz file a dict of them.
"""

import functools
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from scorefleet.tasks import config
from scorefleet.tasks.console import notify
from scorefleet.tasks.data.files import kind_of, read_source
from scorefleet.tasks.data.schema import shape_of
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.store.places import folder_of
from scorefleet.tasks.store.shards import rows_of
from scorefleet.tasks.user_code.reads import named, sha256_of
from scorefleet.tasks.user_code.watching import stamp_of


class Observations(NamedTuple):
    """What the function gets, and the name and sha256 of the file that held it."""

    values: Any
    name: str
    digest: str


def read(data: str) -> Observations:
    """Read the file, once while it stays as it is; `DataError` where it holds no data."""
    path = folder_of(data)
    return _read(str(path), stamp_of(str(path)))


@functools.lru_cache(maxsize=4)
def _read(data: str, stamp: tuple[int, ...] | None) -> Observations:
    path = Path(data)
    if path.is_dir():
        raise DataError(f"{path} is a folder: give one file of data")
    before = sha256_of(data)
    values = _arrays(path) if kind_of(path) in (".npy", ".npz") else _table(path)
    if sha256_of(data) != before:
        raise DataError(f"{path} changed while it was read: run the same command again")
    return Observations(values, named(data), before)


def _arrays(path: Path) -> Any:
    try:
        held = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        if isinstance(held, np.ndarray):
            return _tensor(held)
        return {name: _tensor(held[name]) for name in held.files}
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise DataError(f"{path} cannot be read as arrays of numbers: {' '.join(str(error).split())[:160]}") from error


def _table(path: Path) -> dict[str, Any]:
    source = read_source(path, config.CSV())
    for note in source.notes:
        notify(f"scorefleet: {note}")
    table = source.table
    return {name: _column(name, table[name]) for name in table.column_names}


def _column(name: str, column: pa.ChunkedArray) -> Any:
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        shape = shape_of(pa.field(name, kind))
        return _tensor(rows_of(column, int(np.prod(shape))).reshape(len(column), *shape))
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if is_number and not pa.types.is_uint64(kind):
        has_gaps = column.null_count > 0
        kept = pa.float64() if has_gaps or not pa.types.is_integer(kind) else pa.int64()
        return _tensor(column.cast(kept).to_numpy())
    if pa.types.is_boolean(kind) and not column.null_count:
        return _tensor(column.to_numpy())
    return column.to_pylist()


def _tensor(values: np.ndarray) -> torch.Tensor:
    """In float64, int64 or bool."""
    kept = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}.get(values.dtype.kind)
    if kept is None:
        raise ValueError(f"an array of {values.dtype} holds no numbers")
    return torch.from_numpy(np.array(values, dtype=kept, order="C"))
