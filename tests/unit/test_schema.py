"""What goes into standardised coordinates comes back in the user's units."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorefleet.tasks.data.schema import Column, DataSchema, LabelColumn, array_field, shape_of
from scorefleet.tasks.data.standardise import fit
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.store.shards import rows_of

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
FLOATS = ("float16", "float32", "float64")
FLOAT32_ROUNDING = 2.0**-24


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    """Rows [row, *shape] of any type that are not constant, far from zero or near it."""
    dtype = np.dtype(draw(st.sampled_from(INTEGERS + FLOATS)))
    shape = (60, *draw(st.sampled_from([(), (3,), (2, 2)])))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        spread = draw(st.integers(1, min(info.max, 2**22)))
        low = draw(st.integers(max(info.min, -(2**50)), min(info.max, 2**50) - spread))
        return low + random.integers(0, spread, shape, endpoint=True).astype(dtype)
    offset = draw(st.sampled_from([0.0, -3.0, 100.0] if dtype.itemsize == 2 else [0.0, 1e3, -1e5]))
    return (offset + draw(st.sampled_from([1.0, 10.0])) * random.normal(size=shape)).astype(dtype)


def column_of(name: str, values: np.ndarray) -> tuple[Column, pa.Array]:
    shape, rows = values.shape[1:], values.reshape(len(values), -1)
    flat = pa.array(rows.reshape(-1))
    column = fit(name, shape, rows, np.arange(0, len(rows), 2))
    return column, pa.FixedSizeListArray.from_arrays(flat, rows.shape[1]) if shape else flat


@settings(max_examples=150, deadline=None, derandomize=True)
@given(values=st.lists(arrays(), min_size=1, max_size=3))
def test_decode_undoes_encode(values: list[np.ndarray]):
    made = [column_of(f"c{index}", each) for index, each in enumerate(values)]
    schema = DataSchema(tuple(column for column, _ in made))
    table = pa.table({column.name: array for column, array in made})
    coordinates = DataSchema.from_json(schema.to_json()).encode(table)
    assert coordinates.shape == (60, schema.dim)
    assert coordinates.dtype == np.float32
    decoded = schema.decode(coordinates)
    for column, array in made:
        assert decoded[column.name].type == array.type
        x, back = (rows_of(pa.chunked_array([each]), column.size) for each in (array, decoded[column.name]))
        if column.dtype in INTEGERS:
            np.testing.assert_array_equal(back, x)
            continue
        farthest = np.abs(x.astype(float) - np.array(column.location)).max()
        own = np.finfo(column.dtype).eps * np.abs(x.astype(float)).max()
        assert np.abs(back.astype(float) - x.astype(float)).max() <= 2 * FLOAT32_ROUNDING * farthest + own


def test_table_columns_are_standardised_by_their_own_mean_and_deviation():
    random = np.random.default_rng(0)
    made = [column_of(f"c{i}", random.normal(10.0**i, 10.0**i, 1000)) for i in range(3)]
    schema = DataSchema(tuple(column for column, _ in made))
    x = schema.encode(pa.table({column.name: array for column, array in made}))[::2]
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-5)


def test_an_array_has_the_mean_of_each_element_but_one_deviation():
    random = np.random.default_rng(0)
    values = random.normal([0.0, 100.0, -5.0], [0.001, 1.0, 2.0], (1000, 3))
    column, array = column_of("image", values)
    x = DataSchema((column,)).encode(pa.table({"image": array}))[::2]
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-6)
    assert x.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(x.std(axis=0) / x.std(axis=0)[1], [0.001, 1, 2], rtol=0.15)


def test_drawn_whole_numbers_are_rounded_and_stay_in_the_range_of_the_data_but_real_ones_do_not():
    whole = Column("whole", "uint8", (), (8.0,), 4.0, 0.0, 16.0, is_whole=True)
    real = Column("real", "float64", (), (8.0,), 4.0, 0.0, 16.0, is_whole=False)
    decoded = DataSchema((whole, real)).decode(np.array([[-9, -9], [0.1, 0.1], [9, 9]]))
    assert decoded["whole"].to_pylist() == [0, 8, 16]
    assert decoded["real"].to_pylist() == pytest.approx([-28, 8.4, 44])


def test_floats_that_are_whole_numbers_are_drawn_as_such():
    column, array = column_of("a", np.arange(60.0) // 20)
    assert column.is_whole
    schema = DataSchema((column,))
    drawn = schema.decode(schema.encode(pa.table({"a": array})) + np.float32(0.3))["a"]
    assert drawn.type == pa.float64()
    assert set(drawn.to_pylist()) == {0.0, 1.0, 2.0}


def test_the_grid_is_the_standardised_distance_of_whole_numbers_and_their_range():
    whole, array = column_of("a", np.arange(60))
    real, _ = column_of("b", np.linspace(0, 1, 60))
    step, lowest, highest = DataSchema((whole, real)).grid()
    coordinates = DataSchema((whole,)).encode(pa.table({"a": array}))[:, 0]
    np.testing.assert_allclose(np.diff(coordinates), step[0], rtol=1e-4)
    np.testing.assert_allclose([lowest[0], highest[0]], coordinates[[0, -1]], rtol=1e-6)
    assert step[1] == 0


def test_a_draw_beyond_its_type_is_the_largest_of_the_type():
    column = Column("a", "float16", (), (60_000.0,), 1000.0, 50_000.0, 65_000.0, is_whole=False)
    assert DataSchema((column,)).decode(np.array([[100.0]]))["a"].to_pylist() == [65504.0]


def test_coordinates_that_are_not_finite_are_refused():
    schema = DataSchema((Column("a", "float64", (), (0.0,), 1.0, 0.0, 1.0, is_whole=False),))
    with pytest.raises(ValueError, match="1 of 2 rows"):
        schema.decode(np.array([[np.nan], [0.0]]))


def test_json_keeps_every_bit():
    columns = (Column("π", "float32", (2, 1), (0.1, 1 / 3), 2**0.5, -1e-300, 1e300, is_whole=False),)
    for label in (None, LabelColumn("digit", "int8")):
        schema = DataSchema(columns, label)
        assert DataSchema.from_json(schema.to_json()) == schema


def test_the_shape_of_an_array_comes_from_its_nesting_or_its_metadata():
    nested = pa.field("a", pa.list_(pa.list_(pa.uint8(), 3), 2))
    assert shape_of(nested) == shape_of(array_field("a", pa.uint8(), (2, 3))) == (2, 3)
    assert shape_of(pa.field("a", pa.list_(pa.uint8(), 6))) == (6,)
    assert shape_of(pa.field("a", pa.uint8())) == ()


def test_no_rows_have_coordinates_too():
    column = Column("a", "uint8", (2, 2), (0.0,) * 4, 1.0, 0.0, 1.0, is_whole=True)
    table = pa.schema([array_field("a", pa.uint8(), (2, 2))]).empty_table()
    assert DataSchema((column,)).encode(table).shape == (0, 4)


@pytest.mark.parametrize("said", ["2x2", "[3, 3]", "[-2, -2]", "4", "[2.0, 2]", '{"2": 2}', "[" * 10_000])
def test_a_shape_that_is_none_of_the_column_is_refused(said):
    field = pa.field("image", pa.list_(pa.uint8(), 4), metadata={"shape": said})
    with pytest.raises(DataError, match="column 'image' has 4 numbers a row") as error:
        shape_of(field)
    assert "\n" not in str(error.value)
