"""Preparation splits, standardises and keeps the data, always in the same way."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Dataset
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.prepare import check_data, prepare, read_split
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.data.source import source_digest
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.records.tracking import Journal

NUM_ROWS = 200


def context_of(folder: Path, seed: int = 0) -> Context:
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder.parent / "journal.jsonl")
    return Context("0" * 64, folder, "test", seed, folder.parent, config.Cluster(), journal)


def run(data: Path | str, folder: Path, seed: int = 0, label: str | None = None) -> Dataset:
    return prepare(config.Prepare(str(data), label), context_of(folder, seed))


def table_of(num_rows: int = NUM_ROWS) -> pa.Table:
    random = np.random.default_rng(0)
    return pa.table({"height": random.normal(170, 10, num_rows), "age": random.integers(0, 99, num_rows, np.uint8)})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    pq.write_table(table_of(), tmp_path / "people.parquet")
    return tmp_path / "people.parquet"


def test_every_row_is_in_exactly_one_split(data: Path, tmp_path: Path):
    dataset = run(data, tmp_path / "out")
    splits = [read_split(tmp_path / "out", name) for name in dataset.num_rows]
    assert [split.num_rows for split in splits] == list(dataset.num_rows.values())
    assert pa.concat_tables(splits).sort_by("height").equals(table_of().sort_by("height"))


def test_coordinates_of_the_training_rows_are_standardised(data: Path, tmp_path: Path):
    dataset = run(data, tmp_path / "out")
    schema, train = read_schema(tmp_path / "out"), read_split(tmp_path / "out", "train")
    x = schema.encode(train)
    assert x.shape == (dataset.num_rows["train"], dataset.dim)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-6)
    decoded = pa.table(schema.decode(x))
    assert decoded["age"].combine_chunks().equals(train["age"].combine_chunks())
    np.testing.assert_allclose(decoded["height"], train["height"], atol=1e-5)


def test_the_same_call_writes_the_same_bytes_over_what_a_killed_one_left(data: Path, tmp_path: Path):
    first = run(data, tmp_path / "first")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "train.arrow").write_bytes(b"half a file of other data")
    second = run(data, tmp_path / "second")
    assert second.digest == first.digest
    for path in (tmp_path / "first").iterdir():
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes()


def test_the_split_depends_on_the_seed_and_the_digest_does_not(data: Path, tmp_path: Path):
    datasets = [run(data, tmp_path / str(seed), seed) for seed in (0, 1)]
    splits = [read_split(tmp_path / str(seed), "test") for seed in (0, 1)]
    assert datasets[0].digest == datasets[1].digest
    assert not splits[0].equals(splits[1])


def test_the_digest_is_that_of_the_rows_however_they_lie_in_files(data: Path, tmp_path: Path):
    (tmp_path / "parts").mkdir()
    pq.write_table(table_of().slice(0, 50), tmp_path / "parts" / "1.parquet")
    pq.write_table(table_of().slice(50), tmp_path / "parts" / "2.parquet", row_group_size=10)
    changed = table_of().set_column(1, "age", pa.array(np.arange(NUM_ROWS, dtype=np.uint8)))
    pq.write_table(changed, tmp_path / "changed.parquet")
    one = run(data, tmp_path / "out")
    assert run(tmp_path / "parts", tmp_path / "out2").digest == one.digest
    assert run(tmp_path / "changed.parquet", tmp_path / "out3").digest != one.digest


def test_the_digest_sees_the_shape_of_arrays(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(60, 2, 3))
    np.save(tmp_path / "wide.npy", values)
    np.save(tmp_path / "tall.npy", values.reshape(60, 3, 2))
    digests = {run(tmp_path / f"{name}.npy", tmp_path / name).digest for name in ("wide", "tall")}
    assert len(digests) == 2


def test_digits_become_one_array_column_and_a_label_that_is_not_modelled(tmp_path: Path):
    dataset = run("sklearn:digits", tmp_path / "out")
    schema = read_schema(tmp_path / "out")
    (column,) = schema.columns
    assert (column.name, column.dtype, column.shape, dataset.dim) == ("image", "uint8", (8, 8), 64)
    assert (column.minimum, column.maximum) == (0, 16)
    assert schema.label is not None
    assert (schema.label.name, schema.label.dtype) == ("digit", "int8")
    assert sum(dataset.num_rows.values()) == 1797
    statistics = json.loads((tmp_path / "out" / "statistics.json").read_text())
    assert statistics["image"]["maximum"] == 16
    assert len(np.unique(read_split(tmp_path / "out", "train")["digit"])) == 10


def test_a_label_of_the_user_is_kept_beside_the_data(tmp_path: Path):
    text = "\n".join(f"{index * 0.5},{'ab'[index % 2]}" for index in range(60))
    (tmp_path / "t.csv").write_text("x,kind\n" + text)
    assert run(tmp_path / "t.csv", tmp_path / "out", label="kind").dim == 1
    assert read_split(tmp_path / "out", "test").column_names == ["x", "kind"]
    with pytest.raises(DataError, match=r"column 'kind' of .* is string"):
        run(tmp_path / "t.csv", tmp_path / "other")


def test_refused_data_leave_nothing_half_written(tmp_path: Path):
    np.save(tmp_path / "flat.npy", np.ones((100, 2)))
    with pytest.raises(DataError, match=r"column 'x0' is constant \(1\)"):
        run(tmp_path / "flat.npy", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_splits_are_mapped_into_memory_rather_than_read(data: Path, tmp_path: Path):
    run(data, tmp_path / "out")
    before = pa.total_allocated_bytes()
    train = read_split(tmp_path / "out", "train")
    assert pa.total_allocated_bytes() == before
    assert train.num_rows > 100


def test_the_digest_of_the_source_follows_the_contents_of_its_files(data: Path):
    before = source_digest(config.Prepare(str(data)))
    assert source_digest(config.Prepare(str(data.parent))) == before
    pq.write_table(table_of(201), data)
    assert source_digest(config.Prepare(str(data))) != before
    assert source_digest(config.Prepare("sklearn:wine")) != source_digest(config.Prepare("sklearn:digits"))


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        ("", UsageError, "prepare.data is not set"),
        ("s3://bucket/data", UsageError, "only a folder or file://"),
        ("sklearn:iris", UsageError, "is not one of sklearn:digits"),
        ("missing.csv", DataError, "missing.csv does not exist"),
        ("https://example.com/x.csv", UsageError, "https:// cannot be opened: .* download the data"),
        ("file://host/data.csv", UsageError, "of the machine 'host'"),
    ],
)
def test_a_source_that_is_not_there_is_refused_before_anything_runs(data: str, kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        source_digest(config.Prepare(data))


def test_rows_of_one_file_never_stand_under_the_key_of_another(data: Path, tmp_path: Path):
    context = dataclasses.replace(context_of(tmp_path / "out"), reads=source_digest(config.Prepare(str(data))))
    prepare(config.Prepare(str(data)), context)
    pq.write_table(table_of(201), data)
    with pytest.raises(DataError, match=r"people.parquet was changed while it was read: run the command again"):
        prepare(config.Prepare(str(data)), context)


def test_columns_that_are_no_data_are_left_out_and_told(tmp_path: Path, capsys: pytest.CaptureFixture):
    frame = table_of().to_pandas()
    frame[frame["height"] > 165].to_parquet(tmp_path / "index.parquet")
    frame.to_csv(tmp_path / "index.csv")
    for name, column in (("index.parquet", "__index_level_0__"), ("index.csv", "")):
        run(tmp_path / name, tmp_path / "out")
        assert [one.name for one in read_schema(tmp_path / "out").columns] == ["height", "age"]
        assert f"column {column!r} is left out: it is " in capsys.readouterr().err
        assert column in json.loads((tmp_path / "out" / "reading.json").read_text())["notes"][-1]


def test_columns_are_dropped_and_kept_as_told(tmp_path: Path, capsys: pytest.CaptureFixture):
    table = (
        table_of().append_column("id", pa.array(np.arange(NUM_ROWS))).append_column("who", pa.array(["a", "b"] * 100))
    )
    pq.write_table(table, tmp_path / "t.parquet")
    asked = config.Prepare(str(tmp_path / "t.parquet"), drop=("who", "age", "who"), keep=("id",))
    prepare(asked, context_of(tmp_path / "out"))
    assert [one.name for one in read_schema(tmp_path / "out").columns] == ["height", "id"]
    assert "left out" not in capsys.readouterr().err
    for key in ("drop", "keep"):
        with pytest.raises(DataError, match=rf"no column 'whom' for prepare.{key}: the nearest is 'who'"):
            prepare(dataclasses.replace(asked, **{key: ("whom",)}), context_of(tmp_path / "out"))
    with pytest.raises(ValueError, match=r"prepare.keep must be columns that prepare.drop does not name"):
        config.Prepare("t.csv", drop=("id",), keep=("id",))
    with pytest.raises(DataError, match=r"no columns of data: 'id' is row numbers from 0; name those to model"):
        prepare(dataclasses.replace(asked, drop=("who", "age", "height"), keep=()), context_of(tmp_path / "out"))


def test_the_share_of_repeated_rows_is_told_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture):
    pq.write_table(pa.concat_tables([table_of()] * 5), tmp_path / "five.parquet")
    run(tmp_path / "five.parquet", tmp_path / "out")
    assert "800 of 1,000 rows (80%) equal an earlier row: they lie in its split" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "reading.json").read_text())["share_of_repeated_rows"] == 0.8
    assert '"data/share_of_repeated_rows": 0.8' in (tmp_path / "journal.jsonl").read_text()
    splits = {
        name: set(read_split(tmp_path / "out", name)["height"].to_pylist()) for name in ("train", "validation", "test")
    }
    assert sum(map(len, splits.values())) == NUM_ROWS
    random = np.random.default_rng(0)
    pq.write_table(
        pa.table({"a": random.integers(1, 7, 1000), "b": random.integers(1, 7, 1000)}), tmp_path / "dice.parquet"
    )
    run(tmp_path / "dice.parquet", tmp_path / "out")
    assert "there are fewer possible rows than rows, so they lie in all splits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": np.arange(60.0) ** 2, "kind": ["a", "b"] * 30}, "column 'kind' of .* is string"),
        ({"a": np.arange(60.0) ** 2, "b": np.ones(60)}, "column 'b' is constant"),
        ({"a": np.arange(40.0) ** 2}, "has 40 rows"),
    ],
)
def test_what_prepare_refuses_is_refused_by_a_check_that_writes_nothing(tmp_path: Path, columns: dict, message: str):
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=message):
        check_data(config.Prepare(str(tmp_path / "t.parquet")), 0)
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_csv_column_is_whole_one_night_and_not_the_next(tmp_path: Path):
    for name, last in (("1", "7"), ("2", "7.0")):
        (tmp_path / f"{name}.csv").write_text(
            "a,b\n" + "".join(f"{k * k},{k}.5\n" for k in range(60)) + f"{last},1.5\n"
        )
        run(tmp_path / f"{name}.csv", tmp_path / name)
    first, second = (read_schema(tmp_path / name).columns[0] for name in ("1", "2"))
    assert (first.dtype, second.dtype) == ("int64", "float64")
    assert (first.is_whole, second.is_whole) == (True, True)
