"""Small Parquet files that claim to be large, or are made to crash a reader, are refused before they are unpacked."""

import contextlib
import io
import struct
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.shards import each_table, from_parquet, places_of, to_parquet
from scorefleet.tasks.store.thrift import Reader

MEASURED = """
import resource, sys
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.shards import from_parquet, places_of
data, before = open(sys.argv[1], "rb").read(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (lambda: places_of(data, 4), lambda: from_parquet(data)):
    try:
        read()
    except StorageError as error:
        print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def parquet(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **{"compression": "zstd", "write_page_checksum": True} | options)
    return sink.getvalue()


def varint(number):
    return (bytes([number & 127 | 128]) + varint(number >> 7)) if number > 127 else bytes([number])


def file_of(footer):
    return b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"


def nested(depth):
    """A footer whose only column is so many groups deep."""
    group = b"\x35\x00\x18\x01a\x15\x02\x00"  # repetition 0, name "a", one child
    column = b"\x15\x04\x25\x00\x18\x01x\x00"  # int64, repetition 0, name "x"
    schema = b"\x19\xfc" + varint(depth + 2) + group * (depth + 1) + column
    return file_of(b"\x15\x02" + schema + b"\x16\x00\x19\x0c\x00")


@pytest.mark.parametrize("depth", [5, 1000, 200_000])
def test_nested_columns_are_refused_and_not_followed(depth):
    """Arrow's reader crashes at twenty thousand."""
    with pytest.raises(StorageError, match="its columns are nested"):
        from_parquet(nested(depth))


def test_a_list_of_more_elements_than_a_footer_has_bytes_is_refused():
    with pytest.raises(StorageError, match="cut off"):
        from_parquet(file_of(b"\x15\x02\x19\xfc" + varint(900_000) + b"\0" * 10))


def test_metadata_nested_in_itself_is_refused():
    with pytest.raises(ValueError, match="nested too deep"):
        dict(Reader(b"\x1c" * 100_000).fields())
    with pytest.raises(ValueError, match="nested too deep"):
        dict(Reader(b"\x19" + b"\x19" * 100_000).fields())


def test_any_bytes_are_metadata_or_refused():
    draw = np.random.default_rng(0)
    for length in draw.integers(0, 60, 3000):
        with contextlib.suppress(ValueError):
            dict(Reader(draw.bytes(length)).fields())


@pytest.mark.parametrize("encoding", ["RLE_DICTIONARY", "DELTA_BINARY_PACKED"])
def test_more_rows_than_recorded_take_no_memory(encoding, tmp_path):
    zeros = np.zeros(2 * 10**7, np.int64)
    is_coded = encoding == "RLE_DICTIONARY"
    options = {} if is_coded else {"use_dictionary": False, "column_encoding": encoding}
    (tmp_path / "bomb").write_bytes(parquet(pa.table({"chain": zeros, "draw": zeros}), **options))
    assert (tmp_path / "bomb").stat().st_size < 2_000_000
    command = [sys.executable, "-c", MEASURED.replace("from_parquet(data)", "from_parquet(data, rows=4)")]
    done = subprocess.run([*command, str(tmp_path / "bomb")], capture_output=True, text=True, check=True)
    *lines, kilobytes = done.stdout.splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["it has 20000000 rows where 4 are recorded"] * 2
    assert int(kilobytes) < 30_000


def test_a_page_that_unpacks_to_more_than_its_rows_is_refused():
    """What it says of rows is right, and its one dictionary is of another size."""
    data = parquet(pa.table({"chain": pa.array(["x" * 10**7] * 4), "draw": [0, 1, 2, 3]}))
    assert len(data) < 10_000
    with pytest.raises(StorageError, match="bytes of it would unpack to 1"):
        places_of(data, 4)


def test_texts_that_are_long_only_when_written_out_are_refused(monkeypatch):
    monkeypatch.setattr("scorefleet.tasks.store.bounds.most_bytes", lambda: 10**8)
    table = pa.table({"x": pa.DictionaryArray.from_arrays(np.zeros(1000, np.int32), ["y" * 10**6]).cast(pa.string())})
    data = parquet(table)
    assert len(data) < 10_000
    with pytest.raises(StorageError, match="a column of texts has 1,000,000,000 bytes"):
        from_parquet(data)
    with pytest.raises(StorageError, match="a column of texts has"):
        [*each_table(data, table.schema)]


def test_texts_that_are_differences_to_the_one_before_are_refused():
    table = pa.table({"x": ["y" * 100] * 10})
    data = parquet(table, use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY")
    with pytest.raises(StorageError, match="coded as none of ours is"):
        from_parquet(data)


def test_what_our_writer_writes_is_read():
    table = pa.table(
        {"x": ["a", "b"] * 500, "y": np.arange(1000.0), "z": pa.array([[1.0, 2.0]] * 1000, pa.list_(pa.float32(), 2))}
    )
    assert from_parquet(to_parquet(table)).equals(table)
    assert from_parquet(to_parquet(table.slice(0, 0))).equals(table.slice(0, 0))
