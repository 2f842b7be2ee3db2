"""A row's side is its own: it does not change with the rest of the table."""

import numpy as np
import pyarrow as pa
import pytest

from scorefleet.tasks.data.splitting import (
    COPIES,
    MIN_DISTINCT_ROWS,
    content_of,
    is_grid,
    occurrence_of,
    sides_of,
    split_rows,
)
from scorefleet.tasks.errors import DataError, UsageError


def content(num_rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(2**63, size=num_rows, dtype=np.uint64)


def sides(rows: np.ndarray, seed: int = 0, is_grid: bool = False) -> np.ndarray:
    found = np.empty(len(rows), dtype="<U10")
    for name, indices in split_rows(rows, 0.08, 0.2, seed, is_grid).items():
        found[indices] = name
    return found


def test_no_row_changes_sides_when_the_table_grows_or_is_put_in_another_order():
    rows, order = content(3000), np.random.default_rng(1).permutation(3000)
    whole = sides(rows)
    assert (sides(rows[:1000]) == whole[:1000]).all()
    assert (sides(rows[order]) == whole[order]).all()


def test_a_growing_table_never_holds_out_a_row_that_was_learned_from():
    """Also where few rows leave a split below its least number, so that rows are taken in."""
    for seed in range(20):
        rows = content(400, seed)
        for size in (50, 60, 100):
            before, after = sides(rows[:size]), sides(rows)[:size]
            assert not ((before == "train") & (after != "train")).any()


def test_fractions_are_kept_within_the_noise_of_a_binomial():
    """Six standard deviations of each of two counts: false alarms below 4e-9 in all."""
    found = sides(content(20_000))
    for name, share in (("test", 0.2), ("validation", 0.08)):
        assert abs((found == name).sum() - 20_000 * share) < 6 * np.sqrt(20_000 * share * (1 - share))


def test_the_seed_decides_the_split():
    assert 0.5 < (sides(content(2000), 0) == sides(content(2000), 1)).mean() < 0.75


@pytest.mark.parametrize("copies", [2, COPIES, 5, 30])
def test_equal_rows_lie_in_one_split_however_many_there_are(copies: int):
    rows = np.repeat(content(500), copies)
    assert (sides(rows).reshape(-1, copies) == sides(rows).reshape(-1, copies)[:, :1]).all()
    assert (sides(rows).reshape(-1, copies)[:, 0] == sides(content(500))).all()


def test_a_table_that_is_appended_every_night_never_takes_a_row_out_of_training():
    rows = content(400)
    nights = np.concatenate([rows[: 100 * night] for night in range(1, 5)])
    found, whole = sides(nights), sides(rows)
    assert all(set(found[nights == row]) == {side} for row, side in zip(rows, whole, strict=True))


def test_common_values_of_a_grid_lie_in_all_splits():
    few = np.tile(content(2), 1000)
    shares = [(sides(few, is_grid=True)[k::2] == "test").mean() for k in (0, 1)]
    assert all(0.1 < share < 0.3 for share in shares)


def test_a_row_that_is_a_large_part_of_the_table_is_learned_from():
    for seed in range(20):
        found = sides(np.concatenate([np.full(300, 5, np.uint64), content(500)]), seed)
        assert (found[:300] == "train").all()
        assert 0.1 < (found[300:] == "test").mean() < 0.3


def test_few_different_rows_are_refused_unless_they_are_a_grid():
    few = np.tile(content(MIN_DISTINCT_ROWS - 1), 10)
    with pytest.raises(DataError, match="only 49 of 490 rows differ: at least 50 different rows are needed"):
        split_rows(few, 0.08, 0.2, 0)
    split_rows(np.tile(content(MIN_DISTINCT_ROWS - 1), 2), 0.08, 0.2, 0)  # as few copies as chance may bring
    assert {name for name, rows in split_rows(few, 0.08, 0.2, 0, is_grid=True).items() if len(rows)} == {
        "train",
        "validation",
        "test",
    }


def test_a_grid_has_fewer_possible_rows_than_rows():
    random = np.random.default_rng(0)
    real = pa.table({"x": random.normal(size=2000)})
    tables = {
        "dice": (pa.table({"a": random.integers(1, 7, 2000), "b": random.integers(1, 7, 2000)}), True),
        "tenths": (pa.table({"x": random.normal(size=2000).round(1)}), True),
        "real": (real, False),
        "real, five times": (pa.concat_tables([real] * 5), False),
        "numbers, five times": (pa.table({"a": np.tile(np.arange(300), 5)}), False),
        "dice, five times": (pa.table({"a": np.tile(random.integers(1, 7, 400), 5)}), True),
        "dice and a real number": (real.append_column("a", pa.array(random.integers(1, 7, 2000))), False),
        "thousandths": (pa.table({"x": random.normal(size=2000).round(3).astype(np.float32)}), False),
    }
    for name, (table, expected) in tables.items():
        assert is_grid(table, None, content_of(table, None)) == expected, name


def test_occurrences_are_counted_in_order():
    assert occurrence_of(np.array([7, 3, 7, 7, 3], np.uint64)).tolist() == [0, 0, 1, 2, 1]
    assert len(np.unique(sides_of(np.full(9, 5, np.uint64), is_grid=True))) == 3


def test_content_is_that_of_the_values_whatever_their_type_or_the_order_of_columns():
    a, b = np.arange(60), np.linspace(-1, 1, 60)
    table = pa.table({"a": a.astype(np.int8), "b": b, "kind": a % 2})
    other = pa.table({"kind": a % 3, "b": b, "a": a.astype(np.float64)})
    assert (content_of(table, "kind") == content_of(other, "kind")).all()
    assert len(np.unique(content_of(table, "kind"))) == 60
    exchanged = pa.table({"b": a.astype(np.float64), "a": b})
    assert not (content_of(exchanged, None) == content_of(table, "kind")).any()
    assert (content_of(pa.table({"x": [0.0]}), None) == content_of(pa.table({"x": [-0.0]}), None)).all()


def test_the_split_of_a_seed_never_changes():
    splits = split_rows(content_of(pa.table({"x": np.arange(50)}), None), 0.1, 0.1, seed=7)
    assert splits["validation"].tolist() == [3, 15, 46]
    assert splits["test"].tolist() == [1, 5, 28, 43, 49]


def test_small_data_leave_something_for_every_split():
    assert {name: len(rows) for name, rows in split_rows(content(50), 0.001, 0.001, 0).items()} == {
        "train": 46,
        "validation": 2,
        "test": 2,
    }


def test_fractions_that_leave_too_little_to_learn_from_are_refused():
    with pytest.raises(UsageError, match=r"leave \d of 50 rows to learn from"):
        split_rows(content(50), 0.48, 0.48, 0)
