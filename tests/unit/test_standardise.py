"""Standardisation is fitted to the training rows, and a column must vary there."""

import numpy as np
import pytest

from scorefleet.tasks.data.standardise import describe, fit
from scorefleet.tasks.errors import DataError

ALL = np.arange(100)


def test_location_and_scale_are_those_of_the_training_rows_but_the_range_is_that_of_all():
    rows = np.concatenate([np.arange(50.0), np.arange(1000.0, 1050.0)])[:, None]
    column = fit("a", (), rows, np.arange(50))
    assert column.location == (24.5,)
    assert column.scale == pytest.approx(np.arange(50.0).std())
    assert (column.minimum, column.maximum) == (0, 1049)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_a_constant_column_is_refused(dtype: str):
    with pytest.raises(DataError, match=r"column 'a' is constant \(3\) in the 100 rows to learn from: leave it out"):
        fit("a", (), np.full((100, 1), 3, dtype), ALL)


def test_a_column_that_is_constant_in_the_training_rows_is_refused():
    rows = np.zeros((100, 1))
    rows[99] = 1
    with pytest.raises(DataError, match="constant"):
        fit("a", (), rows, np.arange(50))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_no_variation_but_little_variation_is(dtype: type):
    values = np.full((100, 1), 1e6 / 3, dtype)
    values[::2] = np.nextafter(values[::2], dtype(np.inf))
    with pytest.raises(DataError, match="constant"):
        fit("a", (), values, ALL)
    values[::2] *= 1 + 8 * np.finfo(dtype).eps
    assert fit("a", (), values, ALL).scale > 0


def test_integers_far_from_zero_may_vary_by_one():
    rows = (2**52 + np.arange(100) % 2)[:, None]
    assert fit("a", (), rows, ALL).scale == pytest.approx(0.5)


def test_an_array_may_have_constant_elements_but_not_only_such():
    rows = np.tile([0.0, 5.0], (100, 1))
    with pytest.raises(DataError, match="constant"):
        fit("image", (2,), rows, ALL)
    rows[:, 1] += np.arange(100)
    assert fit("image", (2,), rows, ALL).location == (0.0, 54.5)


def test_values_too_large_to_square_are_refused():
    with pytest.raises(DataError, match="values too large to square"):
        fit("a", (), np.linspace(-1e300, 1e300, 100)[:, None], ALL)


def test_statistics_are_in_the_units_of_the_user():
    statistics = describe(np.arange(101, dtype=np.uint8)[:, None])
    assert statistics["dtype"] == "uint8"
    assert (statistics["minimum"], statistics["mean"], statistics["maximum"]) == (0, 50, 100)
    assert statistics["quantiles"]["0.25"] == 25
    assert statistics["standard_deviation"] == pytest.approx(np.arange(101).std())
