"""Columns that number or name rows are recognised, and columns of data are not taken for them."""

import uuid
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scorefleet.tasks.data.no_data import find

NUM_ROWS = 200
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=NUM_ROWS)
COUNT = np.arange(NUM_ROWS)
SPARSE = RANDOM.choice(10**6, NUM_ROWS, replace=False)


def found(**columns: Any) -> set[str]:
    return set(find(pa.table({"x": X, **columns}), []))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("n", COUNT),
        ("n", COUNT + 1),
        ("n", RANDOM.permutation(COUNT)),
        ("n", RANDOM.permutation(COUNT).astype(float)),
        ("Unnamed: 0", COUNT),
        ("Unnamed: 0", np.sort(SPARSE)),
        ("", np.tile(np.arange(100), 2)),
        ("level_0", COUNT // 2),
        ("index", np.tile(np.arange(50), 4)),
        ("id", SPARSE),
        ("sample_id", SPARSE),
        ("Patient ID", np.sort(SPARSE)),
        ("customerId", SPARSE),
        ("n", RANDOM.integers(2**60, 2**62, NUM_ROWS)),
        ("n", -RANDOM.integers(2**60, 2**62, NUM_ROWS)),
        ("n", [str(uuid.UUID(int=k)) for k in range(NUM_ROWS)]),
        ("n", pa.array([uuid.UUID(int=k).bytes for k in range(NUM_ROWS)], pa.uuid())),
        ("n", pa.array([uuid.UUID(int=k).bytes for k in range(NUM_ROWS)], pa.binary(16))),
        ("n", [f"{k:05d}" for k in SPARSE]),
        ("n", [str(10**20 + int(k)) for k in SPARSE]),
        ("n", pa.array([f"name {k}" for k in SPARSE]).dictionary_encode()),
    ],
)
def test_what_numbers_or_names_rows_is_no_data(name: str, values: Any):
    assert found(**{name: values}) == {name}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("n", X**2),
        ("id", X**2),
        ("Unnamed: 3", X**2),
        ("n", np.sort(SPARSE)),
        ("n", SPARSE),
        ("acid", SPARSE),
        ("year", COUNT + 1800),
        ("minute", COUNT + 2),
        ("n", COUNT // 2),
        ("n", RANDOM.integers(0, NUM_ROWS, NUM_ROWS)),
        ("id", RANDOM.integers(0, 5, NUM_ROWS)),
        ("n", np.where(COUNT == 7, np.nan, COUNT)),
        ("n", ["a", "b"] * (NUM_ROWS // 2)),
        ("n", [f"{x:.6f}" for x in X[:-1]] + ["?"]),
        ("n", [f"{x:.6f}".replace(".", ",") for x in X[:-1]] + ["?"]),
        ("n", pd.date_range("2024-01-01", periods=NUM_ROWS)),
        ("n", COUNT % 2 == 0),
    ],
)
def test_what_was_measured_is_data(name: str, values: Any):
    assert found(**{name: values}) == set()


def test_a_column_of_few_whole_numbers_alone_is_data():
    for values in (RANDOM.integers(1, 7, 5000), RANDOM.integers(1, 100, 5000)):
        assert find(pa.table({"x": values}), []) == {}
    people = {"age": RANDOM.integers(0, 100, 5000), "sex": RANDOM.integers(0, 2, 5000)}
    assert find(pa.table(people), []) == {}


def test_the_index_that_pandas_recorded_is_no_data_whatever_its_name():
    table = pd.DataFrame({"x": X, "y": X**2}, index=pd.Index(np.sqrt(np.abs(X)), name="depth"))
    assert find(pa.Table.from_pandas(table), []) == {"depth": "the index of a pandas table"}
    assert find(pa.Table.from_pandas(table[table["x"] > 0].reset_index(drop=True)), []) == {}
    assert set(find(pa.Table.from_pandas(table.reset_index(drop=True)[X > 0]), [])) == {"__index_level_0__"}
    for damaged in (b"{", b"[]", b'{"index_columns": 3}', b"\xff"):
        assert find(pa.table({"x": X}).replace_schema_metadata({b"pandas": damaged}), []) == {}


def test_identifiers_are_recognised_in_a_table_that_stands_in_its_file_several_times():
    table = pa.table({"x": X, "row": COUNT, "code": [f"c{k}" for k in SPARSE]})
    for parts in ([table] * 5, [table.slice(0, 60), table.slice(0, 120), table]):
        assert set(find(pa.concat_tables(parts), [])) == {"row", "code"}


def test_arrays_are_never_taken_for_identifiers_nor_make_others_so():
    image = pa.FixedSizeListArray.from_arrays(pa.array(RANDOM.integers(0, 255, 4 * NUM_ROWS)), 4)
    table = pa.table({"image": image, "digit": RANDOM.integers(0, 10, NUM_ROWS), "id": COUNT})
    assert set(find(table, [])) == {"id"}


def test_what_is_spared_is_data():
    assert find(pa.table({"x": X, "n": COUNT, "id": SPARSE}), ["n", None]) == {"id": "identifiers, one for each row"}
