"""Folders of a table format are read by its log, or refused by name."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorefleet.tasks import config
from scorefleet.tasks.data.files import digest_of, read_files, read_source
from scorefleet.tasks.errors import DataError

TABLE = pa.table({"a": [1.5, 2.0, 3.0], "b": [1, 2, 3]})


def delta_table(folder: Path) -> Path:
    deltalake = pytest.importorskip("deltalake")
    table = pa.table({"a": np.arange(100.0), "b": np.arange(100.0) ** 2})
    deltalake.write_deltalake(folder, table)
    deltalake.write_deltalake(folder, table, mode="append")
    deltalake.DeltaTable(folder).delete("a > 50")
    return folder


def test_a_delta_table_has_the_rows_of_its_log_and_not_of_its_files(tmp_path: Path):
    folder = delta_table(tmp_path / "table")
    source = read_source(folder, config.CSV())
    assert source.table.num_rows == 2 * 51
    assert source.digest == digest_of(folder)
    assert "Delta table table, version 2" in source.notes[0]
    with pytest.raises(DataError, match=r"lies in .*table, which is a Delta table with a log of its own rows: give "):
        read_files(next(folder.glob("*.parquet")))
    import deltalake

    deltalake.DeltaTable(folder).delete("a < 3")
    assert digest_of(folder) != source.digest
    for path in folder.glob("*.parquet"):
        path.unlink()
    with pytest.raises(DataError, match=r"Delta table .* lacks its file part-"):
        digest_of(folder)


def test_a_delta_table_in_partitions_is_read_wherever_it_lies(tmp_path: Path):
    deltalake = pytest.importorskip("deltalake")
    table = pa.table({"a": np.arange(100.0), "p": ["x y", "a/b%", "ü", "z"] * 25})
    deltalake.write_deltalake(tmp_path / "my table", table, partition_by=["p"])
    first, second = (read_source(tmp_path / "my table", config.CSV()) for _ in range(2))
    assert first.table.equals(second.table)
    assert first.digest == digest_of(tmp_path / "my table")
    assert first.table.sort_by("a").select(["a", "p"]).equals(table)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("metadata/v1.metadata.json", "is an Iceberg table, which is not read: write its current rows to Parquet"),
        (".hoodie/hoodie.properties", "is a Hudi table, which is not read"),
        ("_versions/1.manifest", "is a Lance table, which is not read"),
        ("year=2024/t.parquet", r"is in partitions \(folders such as year=2024\), which are not read"),
    ],
)
def test_the_folder_of_another_table_format_is_refused_by_name(tmp_path: Path, marker: str, message: str):
    pq.write_table(TABLE, tmp_path / "t.parquet")
    (tmp_path / marker).parent.mkdir()
    (tmp_path / marker).write_text("{}")
    with pytest.raises(DataError, match=message):
        read_files(tmp_path)


def test_a_file_in_a_table_is_not_read_without_its_log(tmp_path: Path):
    for marker in (".hoodie", "_delta_log"):
        (tmp_path / marker / "data" / marker).mkdir(parents=True)
        (tmp_path / marker / "data" / "year=2024").mkdir()
        pq.write_table(TABLE, tmp_path / marker / "data" / "year=2024" / "t.parquet")
        for source in ("year=2024", "year=2024/t.parquet"):
            with pytest.raises(DataError, match="lies in"):
                read_files(tmp_path / marker / "data" / source)
