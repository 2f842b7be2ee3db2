"""Drift is found, named, and seldom seen where there is none."""

import dataclasses

import numpy as np
import pytest

from scorefleet.tasks.data.schema import Column, DataSchema, LabelColumn
from scorefleet.tasks.retraining.drift import compare, out_of_range, schema_changes

NAMES = ("length", "width", "mass")


def rows(num_rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((num_rows, 3)).astype(np.float32)


def column(name: str, dtype: str = "float64") -> Column:
    return Column(name, dtype, (), (0.0,), 1.0, -1.0, 1.0, False)


def test_rows_of_one_law_are_left_alone():
    """20 comparisons, each with a false alarm rate of 5e-4 at most: 1 % that one of these fixed seeds has one, and none
    has."""
    alarms = [compare(rows(200, seed), rows(40, 1000 + seed), NAMES, "Rows", seed) for seed in range(20)]
    assert not any(alarms)


def test_a_shift_names_its_column():
    others = rows(100, 1) + np.array([0, 0.8, 0], dtype=np.float32)
    found = compare(rows(200, 0), others, NAMES, "The rows that have arrived", 0)
    assert "differ in width: mean +0." in found[0]
    assert not any("length" in one or "mass" in one for one in found)


def test_a_dependence_that_no_column_shows_is_found():
    known, others = rows(300, 0), rows(300, 1)
    others[:, 1] = others[:, 0]
    found = compare(known, others, NAMES, "Rows", 0)
    assert len(found) == 1
    assert "as whole rows" in found[0]


def test_too_few_rows_are_not_tested():
    assert compare(rows(500, 0), rows(9, 1) + 10, NAMES, "Rows", 0) == []


def test_a_placeholder_is_out_of_range_and_a_new_record_is_not():
    arrived = rows(50, 1)
    arrived[3, 2] = -999
    assert out_of_range(rows(500, 0), rows(50, 1) * 2, NAMES) == []
    (one,) = out_of_range(rows(500, 0), arrived, NAMES)
    assert one.startswith("mass has 1 values far out of its range")
    assert "-999" in one


@pytest.mark.parametrize(
    ("columns", "label", "words"),
    [
        ((column("a"),), None, "column 'b' is missing"),
        ((column("a"), column("b"), column("c")), None, "column 'c' is new"),
        ((column("a"), column("b", "int8")), None, "column 'b' is int8 and was float64"),
        ((column("a"), dataclasses.replace(column("b"), shape=(2, 3))), None, "'b' is float64[2, 3] and was float64"),
        ((column("a"), column("b")), LabelColumn("kind", "int8"), "the label is 'kind' and was 'none'"),
    ],
)
def test_another_schema_is_said(columns, label, words):
    old = DataSchema((column("a"), column("b")))
    (change,) = schema_changes(old, DataSchema(columns, label))
    assert words in change
    assert schema_changes(old, DataSchema((column("b"), column("a")))) == []


def test_a_csv_column_may_be_whole_one_night_and_not_the_next():
    whole, real = DataSchema((column("a", "int64"),)), DataSchema((column("a", "float64"),))
    assert schema_changes(whole, real) == schema_changes(real, whole) == []
    image = DataSchema((dataclasses.replace(column("a", "int64"), shape=(2, 3)),))
    assert schema_changes(image, real) != []
