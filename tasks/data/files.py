"""Reads a file, or a folder of files with the same columns, as one Arrow table. Data are read whole, into
memory, and what is read is hashed: the rows are those of the digest, whatever becomes of the files meanwhile.

Known: Parquet, Arrow IPC (file and stream), CSV, .npy and .npz. Nothing is ever unpickled. A .npy of shape
(row, d) becomes numeric columns x0 to x{d-1}; one of (row, height, width[, channel]) becomes the array column
x; one of shape (row,) the numeric column x. The arrays of a .npz do the same under their own names.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from scorefleet.tasks import config
from scorefleet.tasks.data import delta, table_folders
from scorefleet.tasks.data.csv_files import read_csv
from scorefleet.tasks.data.schema import array_field, shape_of
from scorefleet.tasks.errors import DataError

PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
BYTES_A_NUMBER = 8


@dataclass(frozen=True)
class Source:
    """What was read: the rows, the sha256 of the files that held them, and in words how CSV files were read."""

    table: pa.Table
    digest: str
    notes: tuple[str, ...]


def paths_of(source: Path) -> list[Path]:
    """The data files that a path names, sorted by name; `DataError` for whatever is no data file."""
    if source.is_symlink() and not source.exists():
        raise DataError(f"{source} is a link to {source.readlink()}, which does not exist: check the link")
    if not source.exists():
        raise DataError(f"{source} does not exist: check the path")
    table_folders.refuse(source)
    if not source.is_dir():
        return [_known(source)]
    try:
        paths = sorted(path for path in source.iterdir() if not path.name.startswith((".", "_")))
    except PermissionError as error:
        raise DataError(f"{source} may not be read: give yourself permission to") from error
    if not paths:
        raise DataError(f"{source} is an empty folder: put data files in it ({', '.join(READERS)})")
    for path in paths:
        if path.is_dir():
            raise DataError(f"{source} holds the folder {path.name}: put all data files into one folder")
    return [_known(path) for path in paths]


def kind_of(path: Path) -> str:
    """The suffix that tells how a file is read: that before the one of a compression."""
    name = path.name.lower()
    packed = next((suffix for suffix in PACKED_SUFFIXES if name.endswith(suffix)), "")
    return Path(name.removesuffix(packed)).suffix


def _known(path: Path) -> Path:
    kind = kind_of(path)
    if kind not in READERS or (kind not in TEXT and path.suffix.lower() != kind):
        raise DataError(f"{path} is of no known kind: it must be one of {', '.join(READERS)}, or lie elsewhere")
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a link to {path.readlink()}, which does not exist: remove the link, or mend it")
    if not path.is_file():
        raise DataError(f"{path} is no regular file (a pipe, a socket or a device): save its data in a file first")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes): write it again, or remove it")
    return path


def digest_of(source: Path) -> str:
    """The digest that `read_source` returns with the rows, found without reading these."""
    if table_folders.is_delta(source):
        return delta.digest_of(source)
    digest = hashlib.sha256()
    for path in paths_of(source):
        try:
            with path.open("rb") as file:
                digest.update(_entry(path, hashlib.file_digest(file, "sha256").hexdigest()))
        except OSError as error:
            raise _unreadable(path, error) from error
    return digest.hexdigest()


def _entry(path: Path, sha256: str) -> bytes:
    return json.dumps([path.name, sha256]).encode()


def _unreadable(path: Path, error: OSError) -> DataError:
    if isinstance(error, PermissionError):
        return DataError(f"{path} may not be read: give yourself permission to")
    return DataError(f"{path} cannot be read: {error.strerror or error}")


def read_files(source: Path) -> pa.Table:
    """All rows, in the order of the files' names; every file must have the columns of the first."""
    return read_source(source, config.CSV()).table


def read_source(source: Path, csv: config.CSV) -> Source:
    """All rows, in the order of the files' names, with the digest of these files."""
    if table_folders.is_delta(source):
        table, digest, words = delta.read(source)
        return Source(table, digest, (words,))
    paths = paths_of(source)
    digest, notes, tables = hashlib.sha256(), dict[str, list[Path]](), list[pa.Table]()
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _unreadable(path, error) from error
        digest.update(_entry(path, hashlib.sha256(data).hexdigest()))
        table, words = _parse(path, data, csv)
        if tables:
            _require_same_columns(tables[0], paths[0], table, path)
        tables.append(table.select(tables[0].column_names if tables else table.column_names))
        if words:
            notes.setdefault(words, []).append(path)
    # A CSV file has no types: a column of whole numbers in one may go on with fractions in the next.
    whole = pa.concat_tables(tables, promote_options="permissive") if len(tables) > 1 else tables[0]
    told = (f"{_named(files)}: {words}" for words, files in notes.items())
    return Source(whole, digest.hexdigest(), tuple(told))


def _named(paths: list[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"


def read_file(path: Path) -> pa.Table:
    """The rows of one file; `DataError` when it is not what its name says."""
    return read_source(path, config.CSV()).table


def _parse(path: Path, data: bytes, csv: config.CSV) -> tuple[pa.Table, str]:
    """The rows in the bytes of a file, and in words how they were read where it does not say that itself."""
    try:
        table, words = READERS[kind_of(path)](data, csv)
        table.validate(full=True)
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        EOFError,
        MemoryError,
        OverflowError,
        LZMAError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise DataError(f"{path} cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}") from error
    names = table.column_names
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{path} has {names.count(name)} columns named {name!r}: give each a name of its own")
    pandas = (table.schema.metadata or {}).get(b"pandas")
    return table.replace_schema_metadata({b"pandas": pandas} if pandas else None), words


def _require_memory(what: str, num_bytes: int) -> None:
    free = psutil.virtual_memory().available
    if num_bytes > free:
        raise ValueError(
            f"it claims {what}, which take {num_bytes / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB are free"
        )


def _require_same_columns(first: pa.Table, first_path: Path, part: pa.Table, path: Path) -> None:
    for name in (*first.column_names, *part.column_names):
        if name not in part.column_names:
            raise DataError(f"{path} lacks the column {name!r} that {first_path.name} has: all files need the same")
        if name not in first.column_names:
            raise DataError(f"{path} has the column {name!r} that {first_path.name} lacks: all files need the same")
        kind, first_kind = part.field(name).type, first.field(name).type
        is_csv = kind_of(path) in TEXT and kind_of(first_path) in TEXT
        if kind != first_kind and not (is_csv and {kind, first_kind} == {pa.int64(), pa.float64()}):
            raise DataError(
                f"column {name!r} is {kind} in {path} but {first_kind} in {first_path.name}: "
                "all files need the same types"
            )
        shape, first_shape = shape_of(part.field(name)), shape_of(first.field(name))
        if shape != first_shape:
            raise DataError(f"column {name!r} has shape {shape} in {path} but {first_shape} in {first_path.name}")


def _read_parquet(data: bytes, csv: config.CSV) -> tuple[pa.Table, str]:
    with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
        _require_memory(f"{rows:,} rows of {columns:,} columns", rows * columns * BYTES_A_NUMBER)
        return file.read(), ""


def _read_arrow(data: bytes, csv: config.CSV) -> tuple[pa.Table, str]:
    is_file = data.startswith(b"ARROW1")
    with pa.ipc.open_file(data) if is_file else pa.ipc.open_stream(data) as reader:
        return reader.read_all(), ""


def _read_numpy(data: bytes, csv: config.CSV) -> tuple[pa.Table, str]:
    if not data.startswith((b"\x93NUMPY", b"PK")):
        raise ValueError("it is not a .npy or .npz file")
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _require_memory("arrays", sum(entry.file_size for entry in archive.infolist()))
    arrays = _arrays(data)
    if isinstance(arrays, np.ndarray):
        return columns_of("x", arrays), ""
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"its member {name!r} is no array: leave it out of the archive")
    parts = [columns_of(name, array) for name, array in arrays.items()]
    fields = [field for part in parts for field in part.schema]
    columns = [column for part in parts for column in part.columns]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields)), ""


def _arrays(data: bytes) -> np.ndarray | dict[str, Any]:
    """The array of a .npy file, or the members of a .npz file by name."""
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except Exception as error:  # a damaged header fails in whichever way Python's own parser does
        raise ValueError(f"numpy cannot read it ({type(error).__name__}: {error})") from error


def columns_of(name: str, array: np.ndarray) -> pa.Table:
    """An array's columns: (row,) is one of numbers, (row, d) is d of numbers, (row, ...) is one of arrays."""
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise ValueError(f"array {name!r} is {array.dtype} of shape {array.shape}: it must hold numbers for each row")
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    if array.ndim == 2:
        return pa.table({f"{name}{index}": column for index, column in enumerate(array.T)})
    shape = array.shape[1:]
    field = array_field(name, pa.from_numpy_dtype(array.dtype), shape)
    flat = pa.array(array.reshape(-1))
    values = pa.FixedSizeListArray.from_arrays(flat, field.type.list_size) if shape else flat
    return pa.Table.from_arrays([values], schema=pa.schema([field]))


TEXT = (".csv", ".tsv")
READERS: dict[str, Callable[[bytes, config.CSV], tuple[pa.Table, str]]] = {
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
    ".npy": _read_numpy,
    ".npz": _read_numpy,
    **dict.fromkeys(TEXT, read_csv),
}
"""How the bytes of files of each kind are read, by their suffix; text may be compressed."""
