"""What a Parquet file may claim before any of it is unpacked, so that no small file takes a machine's memory.

A file of 19 kB can say of itself, and be believed by readers, that it has billions of rows, that a page unpacks to
gigabytes, or that its columns are nested a hundred thousand deep, at which Arrow's reader crashes.
"""

import math
from collections.abc import Collection
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorefleet.tasks.store.thrift import Reader

MAGIC = b"PAR1"
MOST_CONTAINED = 1_000_000
"""Elements of one list of a file's metadata, which is Arrow's own bound."""

BYTES_A_VALUE = 8

ENCODINGS = {0, 2, 3, 8, 9}
"""Plain, by a dictionary (whose indices may be run lengths), and split by bytes: our writer's. Texts that are coded as
differences to the one before unpack without bound.
"""

_SCHEMA, _NUM_CHILDREN, _UNPACKED, _PACKED = 2, 5, 2, 3  # numbers of fields, of parquet.thrift
_ENCODING = {5: 2, 8: 4}  # of the header's part for a page of values, of either version


def most_bytes() -> int:
    """Bytes that may be in memory at once for one file: a quarter of what this machine has left."""
    return psutil.virtual_memory().available // 4


def require_flat(data: bytes | memoryview) -> None:
    """`ValueError` where a file's footer is none, or nests columns deeper than lists of numbers do."""
    length = int.from_bytes(bytes(data[-8:-4]), "little")
    if bytes(data[-4:]) != MAGIC or length > len(data) - 8:
        raise ValueError("it does not end as a Parquet file does")
    footer = Reader(data[len(data) - 8 - length : len(data) - 8])
    schema = next((value for number, value in footer.fields() if number == _SCHEMA and isinstance(value, list)), [])
    open_groups: list[int] = []
    for element in schema:
        open_groups.append(_number(element, _NUM_CHILDREN, 0))
        if len(open_groups) > 4:  # the root, a list, its elements, a number
            raise ValueError("its columns are nested, and those of no store of ours are")
        while open_groups and open_groups[-1] == 0:
            open_groups.pop()
            if open_groups:
                open_groups[-1] -= 1


def require_small(
    data: bytes | memoryview, file: pq.ParquetFile, names: Collection[str] | None = None, most: float = math.inf
) -> None:
    """`ValueError` where a row group's columns, or those of `names`, would unpack to more than `most` bytes, or than
    this machine's memory has room for: by the values that they claim, and the pages that they have.
    """
    most = min(most, most_bytes())
    for group in range(file.metadata.num_row_groups):
        row_group, size = file.metadata.row_group(group), 0
        for number in range(row_group.num_columns):
            column = row_group.column(number)
            if names is None or column.path_in_schema.partition(".")[0] in names:
                size += column.num_values * BYTES_A_VALUE + _unpacked_bytes(data, column)
            if column.num_values < 0 or size > most:
                raise ValueError(f"{len(data):,} bytes of it would unpack to {size:,} or more")


def _unpacked_bytes(data: bytes | memoryview, column: pq.ColumnChunkMetaData) -> int:
    """Bytes of a column's pages by their own headers, each of which Arrow has memory for before it looks at a page."""
    start = column.dictionary_page_offset or column.data_page_offset
    reader, end, size = Reader(data, start), start + column.total_compressed_size, 0
    if not 0 <= start <= end <= len(data):
        raise ValueError("its columns lie outside of it")
    while reader.position < end:
        header = dict(reader.fields())
        unpacked, packed = _number(header, _UNPACKED, -1), _number(header, _PACKED, -1)
        if min(unpacked, packed) < 0:
            raise ValueError("it has a page without a size")
        if any(
            _number(header[part], field, -1) not in ENCODINGS for part, field in _ENCODING.items() if part in header
        ):
            raise ValueError("it has a page that is coded as none of ours is")
        size += unpacked
        reader.position += packed
    return size


def _number(fields: Any, number: int, default: int) -> int:
    value = fields.get(number, default) if isinstance(fields, dict) else None
    if not isinstance(value, int):
        raise ValueError("its metadata has something else where a number must be")
    return value


def require_short(texts: pa.ChunkedArray) -> None:
    """`ValueError` where texts, which are there as indices into a dictionary, are too long to be written out."""
    size = sum(
        pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices)).as_py() or 0 for chunk in texts.chunks
    )
    if size > most_bytes():
        raise ValueError(f"a column of texts has {size:,} bytes")
