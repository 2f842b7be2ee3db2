"""Files of every kind become the same table, and what is no data is refused in one line."""

import gzip
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from scorefleet.tasks import config
from scorefleet.tasks.data import files
from scorefleet.tasks.data.files import digest_of, read_file, read_files, read_source
from scorefleet.tasks.data.schema import shape_of
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.store.shards import rows_of

TABLE = pa.table({"a": [1.5, 2.0, 3.0], "b": [1, 2, 3]})


def write_stream(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


def write_file(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "t.parquet": lambda table, path: pq.write_table(table, path),
    "t.arrow": write_file,
    "stream.arrow": write_stream,
    "t.feather": lambda table, path: pyarrow.feather.write_feather(table, path),
    "T.CSV": lambda table, path: pyarrow.csv.write_csv(table, path),
    "t.npz": lambda table, path: np.savez(path, **{name: table[name].to_numpy() for name in table.column_names}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_reads_as_the_same_table(tmp_path: Path, name: str):
    WRITERS[name](TABLE, tmp_path / name)
    assert read_files(tmp_path / name).equals(TABLE)
    assert read_files(tmp_path).equals(TABLE)


def test_a_matrix_becomes_numbered_columns_of_its_type(tmp_path: Path):
    values = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    np.save(tmp_path / "m.npy", values)
    table = read_files(tmp_path / "m.npy")
    assert table.schema == pa.schema([(name, pa.float32()) for name in ("x0", "x1", "x2")])
    assert table.to_pydict() == {"x0": [0, 3], "x1": [1, 4], "x2": [2, 5]}


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3)])
def test_images_become_one_array_column_of_their_shape(tmp_path: Path, shape: tuple[int, ...]):
    images = np.arange(4 * np.prod(shape), dtype=np.uint8).reshape(4, *shape)
    np.save(tmp_path / "i.npy", np.asfortranarray(images))
    np.savez(tmp_path / "i.npz", x=images, kind=np.arange(4))
    for table in (read_file(tmp_path / "i.npy"), read_file(tmp_path / "i.npz")):
        assert shape_of(table.field("x")) == shape
        np.testing.assert_array_equal(rows_of(table["x"], int(np.prod(shape))), images.reshape(4, -1))


def test_several_files_are_read_in_the_order_of_their_names_as_one(tmp_path: Path):
    pq.write_table(TABLE.slice(1), tmp_path / "2.parquet")
    pq.write_table(TABLE.slice(0, 1).select(["b", "a"]), tmp_path / "10.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".hidden.txt").write_text("")
    assert read_files(tmp_path).equals(TABLE.select(["b", "a"]))


def test_arrays_keep_their_shape_over_several_files(tmp_path: Path):
    for index in range(2):
        np.save(tmp_path / f"{index}.npy", np.full((5, 2, 3), index))
    assert shape_of(read_files(tmp_path).field("x")) == (2, 3)


def test_arrays_of_one_size_but_other_shapes_are_not_the_same_columns(tmp_path: Path):
    np.save(tmp_path / "0.npy", np.zeros((5, 2, 3)))
    np.save(tmp_path / "1.npy", np.zeros((5, 3, 2)))
    with pytest.raises(DataError, match=r"column 'x' has shape \(3, 2\) in .*1.npy but \(2, 3\) in 0.npy"):
        read_files(tmp_path)


def test_a_fraction_far_down_a_csv_file_makes_the_column_floats(tmp_path: Path):
    (tmp_path / "long.csv").write_text("a\n" + "1\n" * 600_000 + "1.5\n")
    assert read_files(tmp_path).schema.field("a").type == pa.float64()


def test_csv_files_may_write_one_column_with_and_without_fractions(tmp_path: Path):
    (tmp_path / "1.csv").write_text("a\n1\n")
    (tmp_path / "2.csv").write_text("a\n1.5\n")
    assert read_files(tmp_path).equals(pa.table({"a": [1.0, 1.5]}))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", r"a.csv is empty \(0 bytes\)"),
        ("a.txt", b"1", r"a.txt is of no known kind: it must be one of .parquet, .arrow"),
        ("a.parquet", b"PAR1 but no more", r"a.parquet cannot be read: "),
        ("a.arrow", b"neither", r"a.arrow cannot be read: "),
        ("a.arrow", b"ARROW1 but no more", r"a.arrow cannot be read: "),
        ("a.npy", b"neither", r"a.npy cannot be read: it is not a .npy or .npz file"),
        ("a.npy", b"\x93NUMPY\x01\x00", r"a.npy cannot be read: "),
        ("a.npz", b"PK\x03\x04 but no more", r"a.npz cannot be read: "),
        ("a.csv", b"a,b\n1,2\n3\n", r"a.csv cannot be read: CSV parse error: Expected 2 columns, got 1"),
        ("a.csv", b"a,a\n1,2\n", r"a.csv has 2 columns named 'a'"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
):
    (tmp_path / name).write_bytes(content)
    for source in (tmp_path, tmp_path / name):
        with pytest.raises(DataError, match=message) as error:
            read_files(source)
        assert "\n" not in str(error.value)


def damaged(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_damaged_and_foreign_members_are_one_line(tmp_path: Path):
    for name in ("brace.npy", "key.npy"):
        np.save(tmp_path / name, TABLE["a"].to_numpy())
    damaged(tmp_path / "brace.npy", lambda data: data.replace(b"}", b" ", 1))
    damaged(tmp_path / "key.npy", lambda data: data.replace(b"'descr'", b"[1,2,3]", 1))
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("README.txt", "a text")
    with zipfile.ZipFile(tmp_path / "empty.npz", "w") as archive:
        archive.writestr("x.npy", "")
    np.savez(tmp_path / "locked.npz", x=TABLE["a"].to_numpy())
    flag = (6, 8)  # of encryption, in the local header and in the directory
    data = bytearray((tmp_path / "locked.npz").read_bytes())
    for signature, offset in zip((b"PK\x03\x04", b"PK\x01\x02"), flag, strict=True):
        data[data.index(signature) + offset] |= 1
    (tmp_path / "locked.npz").write_bytes(data)
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(DataError, match=rf"{path.name} cannot be read: ") as caught:
            read_file(path)
        assert "\n" not in str(caught.value)


def test_pickled_arrays_are_never_loaded(tmp_path: Path):
    array = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    np.savez(tmp_path / "a.npz", array)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError, match="Object arrays cannot be loaded"):
            read_files(tmp_path / name)


@pytest.mark.parametrize("array", [np.array(1.0), np.array(["a"]), np.array([1j])])
def test_an_array_without_numbers_for_rows_is_refused(tmp_path: Path, array: np.ndarray):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match="it must hold numbers for each row"):
        read_files(tmp_path)


def test_missing_and_empty_places_are_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"nowhere.csv does not exist: check the path"):
        read_files(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"is an empty folder"):
        read_files(tmp_path)
    (tmp_path / "below").mkdir()
    with pytest.raises(DataError, match=r"holds the folder below"):
        read_files(tmp_path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (TABLE.drop(["a"]), r"2.parquet lacks the column 'a' that 1.parquet has"),
        (TABLE.append_column("c", pa.array([1, 2, 3])), r"2.parquet has the column 'c' that 1.parquet lacks"),
        (TABLE.set_column(1, "b", [["x", "y", "z"]]), r"column 'b' is string in .*2.parquet but int64 in 1.parquet"),
        (TABLE.set_column(1, "b", [[0.5, 1, 2]]), r"column 'b' is double in .*2.parquet but int64 in 1.parquet"),
    ],
)
def test_a_file_with_other_columns_is_named_with_the_column(tmp_path: Path, other: pa.Table, message: str):
    pq.write_table(TABLE, tmp_path / "1.parquet")
    pq.write_table(other, tmp_path / "2.parquet")
    with pytest.raises(DataError, match=message):
        read_files(tmp_path)


def test_a_folder_name_is_no_column(tmp_path: Path):
    (tmp_path / "year=2020").mkdir()
    pq.write_table(TABLE, tmp_path / "year=2020" / "t.parquet")
    assert read_files(tmp_path / "year=2020").column_names == ["a", "b"]


def test_compressed_csv_and_tabs_are_known_and_compressed_parquet_is_not(tmp_path: Path):
    text = "a,b\n1.5,1\n2.0,2\n3.0,3\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "u.TSV").write_text(text.replace(",", "\t"))
    assert read_file(tmp_path / "t.csv.gz").equals(TABLE)
    assert read_file(tmp_path / "u.TSV").equals(TABLE)
    assert read_files(tmp_path).num_rows == 6
    (tmp_path / "t.parquet.gz").write_bytes(gzip.compress(b"PAR1"))
    with pytest.raises(DataError, match="is of no known kind"):
        read_files(tmp_path / "t.parquet.gz")


def test_how_csv_files_were_read_is_told_once_for_all_that_are_alike(tmp_path: Path):
    for name in ("1", "2", "3"):
        (tmp_path / f"{name}.csv").write_text("a;b\n1,5;2\n")
    (tmp_path / "4.csv").write_text("a,b\n1.5,2\n")
    source = read_source(tmp_path, config.CSV())
    assert source.table.to_pydict() == {"a": [1.5] * 4, "b": [2] * 4}
    assert [note.split(":")[0] for note in source.notes] == ["1.csv and 2 more", "4.csv"]


def test_the_digest_is_that_of_the_bytes_that_were_read(tmp_path: Path):
    for name in WRITERS:
        WRITERS[name](TABLE, tmp_path / name)
        before = digest_of(tmp_path / name)
        assert read_source(tmp_path / name, config.CSV()).digest == before
        WRITERS[name](TABLE.slice(1), tmp_path / name)
        assert read_source(tmp_path / name, config.CSV()).digest == digest_of(tmp_path / name) != before


def test_a_dangling_link_is_named(tmp_path: Path):
    pq.write_table(TABLE, tmp_path / "a.parquet")
    (tmp_path / "b.parquet").symlink_to(tmp_path / "gone.parquet")
    for source in (tmp_path, tmp_path / "b.parquet"):
        with pytest.raises(DataError, match=r"b.parquet is a link to .*gone.parquet, which does not exist"):
            read_files(source)
    (tmp_path / "b.parquet").unlink()
    (tmp_path / "b.parquet").symlink_to(tmp_path / "a.parquet")
    assert read_files(tmp_path).num_rows == 6


def test_pipes_and_sockets_are_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.csv"))
        for name in ("pipe.csv", "socket.csv"):
            with pytest.raises(DataError, match=rf"{name} is no regular file"):
                read_files(tmp_path / name)
    with pytest.raises(DataError, match="is no regular file"):
        digest_of(tmp_path)


def test_what_a_file_claims_is_bounded_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pq.write_table(TABLE, tmp_path / "a.parquet")
    with monkeypatch.context() as patched:
        patched.setattr(files, "BYTES_A_NUMBER", 2**50)
        with pytest.raises(DataError, match=r"a.parquet cannot be read: it claims 3 rows of 2 columns, which take 6,"):
            read_file(tmp_path / "a.parquet")
    assert read_file(tmp_path / "a.parquet").equals(TABLE)
    header = (
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000, 4), }".ljust(117)
    )
    (tmp_path / "b.npy").write_bytes(header + b"\n" + bytes(64))
    with pytest.raises(DataError, match=r"b.npy cannot be read: "):
        read_file(tmp_path / "b.npy")
