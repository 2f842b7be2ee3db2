"""Shards keep every value, and notice every change."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.shards import from_parquet, logical_digest, to_parquet


def table_of(num_rows: int = 500) -> pa.Table:
    random = np.random.default_rng(0)
    position = pa.array(random.normal(size=num_rows * 3).astype(np.float32))
    image = pa.array(random.integers(0, 17, num_rows * 4, dtype=np.uint8))
    return pa.table(
        {
            "mean.radius": random.normal(size=num_rows),
            "half": pa.array(random.normal(size=num_rows).astype(np.float16)),
            "count": random.integers(-9, 9, num_rows),
            "position": pa.FixedSizeListArray.from_arrays(position, 3),
            "image": pa.FixedSizeListArray.from_arrays(image, 4),
            "is_new": pa.array(random.random(num_rows) < 0.5),
            "species": pa.array(["sétosa", "", "x"] * (num_rows // 3) + ["y"] * (num_rows % 3)),
        }
    )


def test_a_shard_reads_back_as_it_was():
    assert from_parquet(to_parquet(table_of())).equals(table_of())


def test_the_same_rows_are_the_same_bytes_however_they_are_chunked():
    table = table_of()
    chunked = pa.concat_tables([table.slice(0, 100), table.slice(100)])
    assert to_parquet(table) == to_parquet(table) == to_parquet(chunked)


def test_floats_are_byte_stream_split_and_compressed():
    metadata = pq.ParquetFile(pa.BufferReader(to_parquet(table_of()))).metadata.row_group(0)
    for index in range(metadata.num_columns):
        column = metadata.column(index)
        is_float = column.path_in_schema in ("mean.radius", "half", "position.list.element")
        assert ("BYTE_STREAM_SPLIT" in column.encodings) == is_float
        assert column.compression == "ZSTD"


def test_no_flipped_bit_of_a_page_changes_a_value_unseen():
    table, data = table_of(100), to_parquet(table_of(100))
    noticed, footer = 0, 8 + int.from_bytes(data[-8:-4], "little")
    for position in np.random.default_rng(1).integers(0, (len(data) - footer) * 8, 400):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << (position % 8)
        try:
            assert from_parquet(bytes(damaged)).equals(table)
        except StorageError:
            noticed += 1
    assert noticed > 300


def test_a_truncated_shard_is_refused():
    data = to_parquet(table_of())
    for size in (0, 1, len(data) // 2, len(data) - 1):
        with pytest.raises(StorageError, match="damaged"):
            from_parquet(data[:size])


def test_the_digest_does_not_depend_on_chunks_slices_or_the_way_through_a_file():
    table = table_of()
    chunked = pa.concat_tables([table.slice(0, 7), table.slice(7, 0), table.slice(7)])
    sliced = pa.concat_tables([table.slice(490), table]).slice(10)
    for same in (chunked, sliced, from_parquet(to_parquet(table))):
        assert logical_digest(same) == logical_digest(table)


def test_the_digest_is_the_one_of_every_version():
    table = pa.table({"a": pa.array([1, 2], pa.int16()), "b": pa.array(["é", ""])})
    expected = (
        b'{"rows": 2, "columns": [["a", "int16"], ["b", "text"]]}'
        + b"\x01\x00\x02\x00"
        + np.array([2, 0], "<i8").tobytes()
        + "é".encode()
    )
    assert logical_digest(table) == hashlib.sha256(expected).hexdigest()


def test_the_digest_sees_values_order_names_types_and_text_boundaries():
    tables = [
        pa.table({"a": [1, 2]}),
        pa.table({"a": [2, 1]}),
        pa.table({"b": [1, 2]}),
        pa.table({"a": pa.array([1, 2], pa.int32())}),
        pa.table({"a": [1, 2, 0]}),
        pa.table({"a": ["ab", "c"]}),
        pa.table({"a": ["a", "bc"]}),
        pa.table({"a": pa.FixedSizeListArray.from_arrays(pa.array([1, 2]), 2)}),
        pa.table({"a": pa.FixedSizeListArray.from_arrays(pa.array([1, 2]), 1)}),
    ]
    assert len({logical_digest(table) for table in tables}) == len(tables)


def test_nulls_have_no_digest():
    with pytest.raises(ValueError, match="column 'a' has 1 null"):
        logical_digest(pa.table({"a": [1, None]}))
