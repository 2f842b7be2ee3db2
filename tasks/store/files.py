"""Reads a file, or a folder of files with the same columns, as one Arrow table. Data are read whole, into
memory.

Known: Parquet, Arrow IPC (file and stream), CSV with a line of column names, .npy and .npz. Nothing is ever
unpickled. A .npy of shape (row, d) becomes numeric columns x0 to x{d-1}; one of (row, height, width[,
channel]) becomes the array column x; one of shape (row,) the numeric column x. The arrays of a .npz do the
same under their own names.
"""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tasks.errors import DataError
from tasks.store.schema import array_field, shape_of

LARGEST_BLOCK_BYTES = 2**31 - 1


def paths_of(source: Path) -> list[Path]:
    """The data files that a path names, sorted by name; `DataError` for whatever is no data file."""
    if not source.exists():
        raise DataError(f"{source} does not exist: check the path")
    if source.is_file():
        return [_known(source)]
    paths = sorted(path for path in source.iterdir() if not path.name.startswith((".", "_")))
    if not paths:
        raise DataError(f"{source} is an empty folder: put data files in it ({', '.join(READERS)})")
    for path in paths:
        if path.is_dir():
            raise DataError(f"{source} holds the folder {path.name}: put all data files into one folder")
    return [_known(path) for path in paths]


def _known(path: Path) -> Path:
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path} is of no known kind: it must be one of {', '.join(READERS)}, or lie elsewhere")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes): write it again, or remove it")
    return path


def read_files(source: Path) -> pa.Table:
    """All rows, in the order of the files' names; every file must have the columns of the first."""
    paths = paths_of(source)
    first = table = read_file(paths[0])
    for path in paths[1:]:
        part = read_file(path)
        _require_same_columns(first, paths[0], part, path)
        # A CSV file has no types: a column of whole numbers in one may go on with fractions in the next.
        table = pa.concat_tables([table, part.select(first.column_names)], promote_options="permissive")
    return table


def read_file(path: Path) -> pa.Table:
    """The rows of one file; `DataError` when it is not what its name says."""
    try:
        table = READERS[path.suffix.lower()](path)
        table.validate(full=True)
    except PermissionError as error:
        raise DataError(f"{path} may not be read: give yourself permission to") from error
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        EOFError,
        MemoryError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    names = table.column_names
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{path} has {names.count(name)} columns named {name!r}: give each a name of its own")
    return table.replace_schema_metadata(None)


def _require_same_columns(first: pa.Table, first_path: Path, part: pa.Table, path: Path) -> None:
    for name in (*first.column_names, *part.column_names):
        if name not in part.column_names:
            raise DataError(f"{path} lacks the column {name!r} that {first_path.name} has: all files need the same")
        if name not in first.column_names:
            raise DataError(f"{path} has the column {name!r} that {first_path.name} lacks: all files need the same")
        kind, first_kind = part.field(name).type, first.field(name).type
        is_csv = path.suffix.lower() == first_path.suffix.lower() == ".csv"
        if kind != first_kind and not (is_csv and {kind, first_kind} == {pa.int64(), pa.float64()}):
            raise DataError(
                f"column {name!r} is {kind} in {path} but {first_kind} in {first_path.name}: "
                "all files need the same types"
            )
        shape, first_shape = shape_of(part.field(name)), shape_of(first.field(name))
        if shape != first_shape:
            raise DataError(f"column {name!r} has shape {shape} in {path} but {first_shape} in {first_path.name}")


def _read_parquet(path: Path) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read()


def _read_arrow(path: Path) -> pa.Table:
    data = path.read_bytes()
    is_file = data.startswith(b"ARROW1")
    with pa.ipc.open_file(data) if is_file else pa.ipc.open_stream(data) as reader:
        return reader.read_all()


def _read_csv(path: Path) -> pa.Table:
    # Types are inferred from the first block alone, so the whole file must be that block.
    block = min(path.stat().st_size + 1, LARGEST_BLOCK_BYTES)
    table = pyarrow.csv.read_csv(path, read_options=pyarrow.csv.ReadOptions(block_size=block))
    if all(_is_number(name) for name in table.column_names):
        raise ValueError(f"its first line must name the columns, but it is {', '.join(table.column_names[:3])}, ...")
    return table


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_numpy(path: Path) -> pa.Table:
    with path.open("rb") as file:  # np.load leaves a file that it opened itself open when it fails
        if not file.read(6).startswith((b"\x93NUMPY", b"PK")):
            raise ValueError("it is not a .npy or .npz file")
        file.seek(0)
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return columns_of("x", loaded)
        parts = [columns_of(name, loaded[name]) for name in loaded.files]
    fields = [field for part in parts for field in part.schema]
    return pa.Table.from_arrays([column for part in parts for column in part.columns], schema=pa.schema(fields))


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


READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
    ".csv": _read_csv,
    ".npy": _read_numpy,
    ".npz": _read_numpy,
}
"""How files of each kind are read, by their suffix."""
