"""Data that cannot be modelled are refused in one line that names what, where, how many and what to do."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scorefleet.tasks.data.checks import MIN_ROWS, check
from scorefleet.tasks.data.schema import array_field, shape_of
from scorefleet.tasks.errors import DataError

GOOD = np.arange(60.0)


def images(*shape: int) -> pa.Table:
    field = array_field("image", pa.uint8(), shape)
    flat = pa.array(np.arange(60 * int(np.prod(shape))).astype(np.uint8))
    return pa.Table.from_arrays(
        [pa.FixedSizeListArray.from_arrays(flat, field.type.list_size)], schema=pa.schema([field])
    )


def with_value(value: Any, row: int = 7) -> np.ndarray:
    values = GOOD.copy()
    values[row] = value
    return values


def test_a_good_table_is_kept_as_it_is():
    table = pa.table({"a": GOOD, "b": GOOD.astype(np.int8), "c": GOOD.astype(np.float16)})
    assert check(table, None, "data").equals(table)


def test_the_label_goes_last_and_is_plain():
    species = pa.array(["x", "y"] * 30).dictionary_encode()
    table = check(pa.table({"species": species, "a": GOOD}), "species", "data")
    assert table.schema == pa.schema([("a", pa.float64()), ("species", pa.string())])
    assert table["species"].to_pylist() == ["x", "y"] * 30
    large = pa.table({"species": pa.array(["x", "y"] * 30, pa.large_string()), "a": GOOD})
    assert check(large, "species", "data").equals(table)


def test_nested_arrays_are_flattened_and_remember_their_shape():
    flat = images(2, 3)
    inner = pa.FixedSizeListArray.from_arrays(flat["image"].combine_chunks().flatten(), 3)
    nested = pa.table({"image": pa.FixedSizeListArray.from_arrays(inner, 2)})
    assert check(nested, None, "data").equals(flat)
    assert shape_of(check(nested, None, "data").field("image")) == (2, 3)
    sliced = pa.concat_tables([nested.slice(50), nested]).slice(10)
    assert check(sliced, None, "data").equals(flat)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": GOOD[:1]}, f"data has 1 row: at least {MIN_ROWS} are needed"),
        ({"a": GOOD[:0]}, "data has 0 rows"),
        ({"a": with_value(np.nan)}, "column 'a' of data is NaN or infinite in 1 row, first in row 8: fill"),
        ({"a": with_value(-np.inf)}, "column 'a' of data is NaN or infinite in 1 row"),
        ({"a": pa.array([None, None, *range(58)])}, "column 'a' of data has 2 missing values: fill them"),
        ({"a": ["x"] * 60}, "column 'a' of data is string: mixed-type tables are not supported yet"),
        ({"a": [True] * 60}, "column 'a' of data is bool: mixed-type"),
        ({"a": pa.array(range(60), pa.timestamp("s"))}, r"column 'a' of data is timestamp\[s\]: mixed-type"),
        ({"a": [Decimal(1)] * 60}, r"column 'a' of data is decimal128\(1, 0\): mixed-type"),
        ({"a": pa.array(["x"] * 60).dictionary_encode()}, "column 'a' of data is dictionary"),
        ({"a": [[1.0, 2.0]] * 60}, r"column 'a' of data is list<.*>: mixed-type.*fixed-size lists"),
        ({"a": [{"b": 1}] * 60}, "column 'a' of data is struct"),
        (
            {"a": ["1.5"] * 7 + ["?"] + ["2"] * 52},
            r"column 'a' of data is string.*--prepare.drop \"\[a\]\".*not numbers: 1 of 60 values, first '\?' in row 8",
        ),
        ({"a": pa.nulls(60)}, "column 'a' of data is null"),
        ({"a": with_value(2).astype(np.int64) + 2**53}, r"column 'a' of data has integers beyond 2\^53"),
        ({"a": with_value(2).astype(np.uint64) + 2**63}, r"column 'a' of data has integers beyond 2\^53"),
        ({"": GOOD, "b": GOOD}, "column 1 of data has no name"),
        ({"a": GOOD, "log_density": GOOD}, "column 'log_density' of data has a name that the samples need"),
        ({"a": GOOD, "Chain": GOOD}, "column 'Chain' of data has a name that the samples need for themselves, in"),
        ({"a": GOOD, "LOG_Density": GOOD}, "column 'LOG_Density' of data has a name that the samples need"),
        ({"a": GOOD, "b": GOOD, "A": GOOD}, "columns 'a' and 'A' of data differ in case alone"),
        ({"größe": GOOD, "GRÖSSE": GOOD}, "columns 'größe' and 'GRÖSSE' of data differ in case alone"),
        ({}, "data has no columns"),
    ],
)
def test_what_cannot_be_modelled_is_named(columns: dict[str, Any], message: str):
    with pytest.raises(DataError, match=message) as error:
        check(pa.table(columns), None, "data")
    assert "\n" not in str(error.value)


def test_missing_values_within_and_around_arrays_are_counted():
    within = pa.array([[1.0, None], *[[1.0, 2.0]] * 59], pa.list_(pa.float64(), 2))
    around = pa.array([None, *[[1.0, 2.0]] * 59], pa.list_(pa.float64(), 2))
    for column in (within, around):
        with pytest.raises(DataError, match="column 'a' of data has 1 missing value: fill"):
            check(pa.table({"a": column}), None, "data")


def test_nan_within_an_array_counts_as_one_row():
    column = pa.array([[np.nan, np.nan], *[[1.0, 2.0]] * 59], pa.list_(pa.float64(), 2))
    with pytest.raises(DataError, match="NaN or infinite in 1 row, first in row 1"):
        check(pa.table({"a": column}), None, "data")


def test_an_array_beside_numbers_is_refused_unless_it_is_the_label():
    table = images(2, 2).append_column("weight", pa.array(np.arange(60)))
    with pytest.raises(DataError, match="array column 'image' beside the column 'weight': tables that mix them"):
        check(table, None, "data")
    assert check(table, "weight", "data").column_names == ["image", "weight"]


def test_large_images_and_wide_tables_are_refused():
    check(images(64, 64), None, "data")
    with pytest.raises(DataError, match=r"data has 12,288 numbers a row: larger images than 4,096 are not"):
        check(images(64, 64, 3), None, "data")
    with pytest.raises(DataError, match=r"data has 4,097 columns: wider tables than 4,096 are not"):
        check(pa.table({f"x{index}": GOOD for index in range(4097)}), None, "data")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("Species", "no column 'Species' for prepare.label: the nearest is 'species'"),
        ("height", r"label 'height' of data is double: a label must be integers, booleans or text"),
        ("gap", "column 'gap' of data has 1 missing value"),
    ],
)
def test_a_label_that_cannot_be_one_is_named(label: str, message: str):
    table = pa.table({"a": GOOD, "species": ["x"] * 60, "height": GOOD, "gap": [None, *range(59)]})
    with pytest.raises(DataError, match=message):
        check(table.select(["a", label] if label in table.column_names else ["a", "species"]), label, "data")


def test_a_table_of_nothing_but_its_label_is_refused():
    with pytest.raises(DataError, match="no columns to model"):
        check(pa.table({"a": GOOD.astype(int)}), "a", "data")
