"""Shards: Arrow tables as Parquet bytes, and what a table says apart from how it is written.

Parquet files name the library that wrote them, so the same rows have other bytes from another version. The
logical digest is the sha256 of names, types and values alone.
"""

import hashlib
import io
import json
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.bounds import MOST_CONTAINED, require_flat, require_short, require_small

BATCH_ROWS = 16_384
HASHED_AT_ONCE = 2**20
PLACES = ["chain", "draw"]
"""Columns that say where in the run a row belongs."""

PLACE_BYTES, SPARE_BYTES = 64, 2**16
"""What both of them take at most unpacked, of a row and besides."""


def to_parquet(table: pa.Table) -> bytes:
    """Parquet bytes: zstd, byte-stream-split floats, a checksum on every page; the same bytes every time."""
    sink = io.BytesIO()
    _pack(table, sink)
    return sink.getvalue()


def _pack(table: pa.Table, sink: BinaryIO) -> None:
    with writer(sink, table.schema) as file:
        file.write_table(table.combine_chunks())


class Encoded(NamedTuple):
    """A shard's file, the sha256 of its bytes, and the logical digest of its rows."""

    data: bytes
    sha256: str
    digest: str


def encode(table: pa.Table) -> Encoded:
    """`to_parquet` with both digests, made while the rows are packed: none of the three keeps Python's lock."""
    with ThreadPoolExecutor(1) as beside, _Hashed() as file:
        digest = beside.submit(logical_digest, table)
        _pack(table, file)
        return Encoded(*file.result(), digest.result())


class _Hashed(io.BytesIO):
    """A file in memory whose sha256 grows with it, in a thread of its own that is given a megabyte at a time."""

    def __init__(self):
        super().__init__()
        self._sha256, self._hashing = hashlib.sha256(), ThreadPoolExecutor(1)
        self._pieces, self._num_waiting = list[bytes](), 0

    def write(self, piece: Any) -> int:  # bytes, which nobody alters after this
        self._pieces.append(piece)
        self._num_waiting += len(piece)
        if self._num_waiting >= HASHED_AT_ONCE:
            self._hash()
        return super().write(piece)

    def result(self) -> tuple[bytes, str]:
        """All that was written, and its sha256."""
        self._hash()
        self._hashing.shutdown()
        return self.getvalue(), self._sha256.hexdigest()

    def _hash(self) -> None:
        pieces, self._pieces, self._num_waiting = self._pieces, [], 0
        self._hashing.submit(lambda: [self._sha256.update(piece) for piece in pieces])


def writer(sink: Any, columns: pa.Schema) -> pq.ParquetWriter:
    """Writes tables of these columns, each as a row group, the way that `to_parquet` says."""
    floats = [path for path, kind in _leaves(columns) if pa.types.is_floating(kind)]
    others = [path for path, kind in _leaves(columns) if not pa.types.is_floating(kind)]
    return pq.ParquetWriter(
        sink,
        columns,
        compression="zstd",
        use_byte_stream_split=floats,  # pyright: ignore[reportArgumentType]  (its stub forgets lists)
        use_dictionary=others,  # pyright: ignore[reportArgumentType]
        write_page_checksum=True,
    )


def places_of(data: bytes | memoryview, rows: int) -> tuple[pa.Schema, pa.Table]:
    """The columns of a shard, and of its rows only `chain` and `draw`; `StorageError` when it has not so many rows, or
    no such columns of whole numbers.
    """
    file = _opened(data, None, rows)
    with _one_line():
        require_small(data, file, PLACES, most=PLACE_BYTES * rows + SPARE_BYTES)
        columns = file.schema_arrow
        kinds = [columns.field(name).type for name in PLACES if name in columns.names]
        if len(kinds) < len(PLACES) or not all(pa.types.is_integer(kind) for kind in kinds):
            raise ValueError("it has no columns chain and draw of whole numbers")
        table = file.read(PLACES, use_threads=False)
        if table.num_rows != rows:
            raise ValueError(f"it holds {table.num_rows} rows where it says {rows}")
        if any(column.null_count for column in table.columns):
            raise ValueError("it has nulls for chains or draws")
        return columns, table


def from_parquet(data: bytes, columns: pa.Schema | None = None, rows: int | None = None) -> pa.Table:
    """The table of `to_parquet`, every page checked; `StorageError` when one is not what was written.

    No page holds the names and types of columns: that they are right is proven by the sha256 of the file alone. What is
    said of `columns` and `rows` is compared before any page is opened.
    """
    file = _opened(data, columns, rows)
    with _one_line():
        require_small(data, file)
        table = pa.concat_tables([file.schema_arrow.empty_table(), *_read_groups(data, file)])
        if rows is not None and table.num_rows != rows:
            raise ValueError(f"it holds {table.num_rows} rows where it says {rows}")
        return table


def each_table(data: bytes, columns: pa.Schema, rows: int | None = None) -> Iterator[pa.Table]:
    """The row groups of a file of `writer`, as `from_parquet` reads them."""
    file = _opened(data, columns, rows)
    with _one_line():
        require_small(data, file)
        yield from _read_groups(data, file)


def each_batch(data: bytes, wanted: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a shard, a few thousand at a time, every page checked; of the columns `wanted` those that it has."""
    file = _opened(data, None, None)
    with _one_line():
        columns = None if wanted is None else [name for name in file.schema_arrow.names if name in wanted]
        require_small(data, file, columns)
        yield from file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False)


def _read_groups(data: bytes, file: pq.ParquetFile) -> Iterator[pa.Table]:
    """Each row group, whose texts are read as indices into a dictionary until it is known how long they are."""
    texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
    coded = _parquet(data, texts)
    for group in range(file.num_row_groups):
        table = coded.read_row_group(group, use_threads=False)
        for name in texts:
            require_short(table[name])
        yield table.cast(file.schema_arrow) if texts else table


def _opened(data: bytes | memoryview, columns: pa.Schema | None, rows: int | None) -> pq.ParquetFile:
    with _one_line():
        require_flat(data)
        file = _parquet(data)
        if columns is not None and file.schema_arrow != columns:
            raise ValueError(f"its columns are not {', '.join(columns.names)} with their types")
        if rows is not None and file.metadata.num_rows != rows:
            raise ValueError(f"it has {file.metadata.num_rows} rows where {rows} are recorded")
        return file


def _parquet(data: bytes | memoryview, texts: Sequence[str] = ()) -> pq.ParquetFile:
    return pq.ParquetFile(
        pa.BufferReader(data),
        page_checksum_verification=True,
        read_dictionary=[*texts],
        thrift_container_size_limit=min(len(data), MOST_CONTAINED),
    )


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, MemoryError, KeyError) as error:
        raise StorageError(f"a Parquet shard is damaged: {str(error).splitlines()[0]}") from error


def _leaves(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    """Parquet's name and the type of every column's values."""
    for field in schema:
        is_list = pa.types.is_fixed_size_list(field.type)
        yield (f"{field.name}.list.element", field.type.value_type) if is_list else (field.name, field.type)


def logical_digest(table: pa.Table) -> str:
    """sha256 of column names, types and little-endian values: the same for any chunking and library version.

    Columns are numeric, boolean, text or fixed-size lists of numbers, without nulls (`ValueError`).
    """
    header = {
        "rows": table.num_rows,
        "columns": [[field.name, type_name(field.type)] for field in table.schema],
    }
    digest = hashlib.sha256(json.dumps(header).encode())
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count:
            raise ValueError(f"column {name!r} has {column.null_count} nulls")
        for values in _buffers(column):
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def type_name(kind: pa.DataType) -> str:
    """Our own name of a type, since a library may rename its own: uint8, float32, text, float32[64]."""
    if pa.types.is_fixed_size_list(kind):
        return f"{type_name(kind.value_type)}[{kind.list_size}]"
    return "text" if pa.types.is_string(kind) else np.dtype(kind.to_pandas_dtype()).name


def _buffers(column: pa.ChunkedArray) -> Iterator[np.ndarray]:
    """A column's values as flat arrays, in order; text as the byte lengths of all rows, then their bytes."""
    if pa.types.is_string(column.type):
        encoded = [text.encode() for text in column.to_pylist()]
        yield np.array([len(text) for text in encoded], dtype="<i8")
        yield np.frombuffer(b"".join(encoded), dtype=np.uint8)
        return
    for chunk in column.chunks:
        flat = chunk.flatten() if pa.types.is_fixed_size_list(chunk.type) else chunk
        values = flat.to_numpy(zero_copy_only=False)
        yield values.astype(values.dtype.newbyteorder("<"), copy=False)


def rows_of(values: pa.ChunkedArray, size: int) -> np.ndarray:
    """A column's numbers as an array [row, size]; fixed-size lists are flattened row-major."""
    flat = values.combine_chunks()
    while pa.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    return flat.to_numpy(zero_copy_only=False).reshape(len(values), size)
