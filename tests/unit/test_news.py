"""What arrived and departed, and which rows are fair to judge by."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Champion, Dataset
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.prepare import prepare, read_split
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.retraining.news import fair_rows, find_news, snapshot


def context_of(folder: Path, seed: int = 0) -> Context:
    folder.mkdir(parents=True, exist_ok=True)
    return Context("0" * 64, folder, "test", seed, folder.parent, config.Cluster(), Journal(folder / "journal.jsonl"))


def table(num_rows: int) -> pa.Table:
    x = np.random.default_rng(0).normal(size=(2000, 2))[:num_rows]
    return pa.table({"a": x[:, 0], "b": x[:, 1]})


def prepared(folder: Path, rows: pa.Table, seed: int = 0) -> Dataset:
    context = context_of(folder, seed)
    pq.write_table(rows, folder.parent / f"{folder.name}.parquet")
    return prepare(config.Prepare(str(folder.parent / f"{folder.name}.parquet")), context)


def champion_on(dataset: Dataset) -> Champion:
    return Champion("", "models:/x/1", True, dataset.uri, "", "")


def test_rows_that_arrive_and_depart_are_counted_and_their_order_is_not_news(tmp_path: Path):
    before = champion_on(prepared(tmp_path / "before", table(400)))
    shuffled = table(400).take(np.random.default_rng(1).permutation(400))
    for name, rows, counts in (
        ("more", table(500), (100, 0)),
        ("less", table(370), (0, 30)),
        ("twice", pa.concat_tables([table(400), table(7)]), (7, 0)),
        ("shuffled", shuffled, (0, 0)),
    ):
        news = find_news(config.Retrain(), context_of(tmp_path / "news"), prepared(tmp_path / name, rows), before)
        assert (news.num_arrived, news.num_departed, news.drift) == (*counts, ())


def test_rows_that_depart_with_a_pattern_have_drifted(tmp_path: Path):
    before = champion_on(prepared(tmp_path / "before", table(800)))
    rows = table(800)
    kept = prepared(tmp_path / "kept", rows.filter(pa.array(rows["a"].to_numpy() < 0.8)))
    news = find_news(config.Retrain(), context_of(tmp_path / "news"), kept, before)
    assert news.drift[0].startswith("The rows that are gone differ in a: mean +")


def test_another_column_is_refused(tmp_path: Path):
    before = champion_on(prepared(tmp_path / "before", table(100)))
    wider = prepared(tmp_path / "wider", table(100).append_column("c", table(100)["a"]))
    with pytest.raises(DataError, match="column 'c' is new"):
        find_news(config.Retrain(), context_of(tmp_path / "news"), wider, before)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_row_that_the_champion_learned_from_is_fair_even_after_another_split(tmp_path: Path, seed: int):
    before = prepared(tmp_path / "before", table(500))
    now = prepared(tmp_path / "now", table(900), seed)
    fair = fair_rows(now, champion_on(before))
    learned = set(read_split(Path(before.uri), "train")["a"].to_pylist())
    assert not learned & set(fair["a"].to_pylist())
    assert not set(read_split(Path(now.uri), "train")["a"].to_pylist()) & set(fair["a"].to_pylist())
    held_out = now.num_rows["validation"] + now.num_rows["test"]
    assert len(fair) == held_out if seed == 0 else 50 < len(fair) < held_out
    assert len(snapshot(now.uri)) == 900


@pytest.mark.parametrize("times", [2, 5, 6])
def test_a_night_job_that_appends_the_whole_table_holds_out_no_row_that_was_learned_from(tmp_path: Path, times: int):
    before = prepared(tmp_path / "before", pa.concat_tables([table(300)] * (times - 1)))
    now = prepared(tmp_path / "now", pa.concat_tables([table(300)] * times))
    news = find_news(config.Retrain(), context_of(tmp_path / "news"), now, champion_on(before))
    assert (news.num_arrived, news.num_departed, news.drift) == (300, 0, ())
    learned = {
        name: set(read_split(Path(place.uri), "train")["a"].to_pylist())
        for name, place in (("before", before), ("now", now))
    }
    held_out = {row for split in ("validation", "test") for row in read_split(Path(now.uri), split)["a"].to_pylist()}
    assert learned["before"] == learned["now"]
    assert not learned["now"] & held_out
    assert len(fair_rows(now, champion_on(before))) == now.num_rows["validation"] + now.num_rows["test"]
