"""Bundled sets are the real data, typed as they are."""

import pyarrow as pa
import pytest

from scorefleet.tasks.data.bundled import is_bundled, load
from scorefleet.tasks.data.schema import shape_of
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.store.shards import rows_of


def test_digits_are_images_of_small_integers_with_their_digit():
    table, label = load("sklearn:digits")
    assert (table.num_rows, label, shape_of(table.field("image"))) == (1797, "digit", (8, 8))
    assert table.field("image").type.value_type == pa.uint8()
    values = rows_of(table["image"], 64)
    assert (values.min(), values.max()) == (0, 16)
    assert sorted(table["digit"].unique().to_pylist()) == list(range(10))


@pytest.mark.parametrize(("data", "shape"), [("sklearn:wine", (178, 13)), ("sklearn:breast_cancer", (569, 30))])
def test_tables_have_their_feature_names_and_a_target(data: str, shape: tuple[int, int]):
    table, label = load(data)
    assert (table.num_rows, table.num_columns - 1) == shape
    assert label == "target"
    assert {"alcohol", "mean radius"} & set(table.column_names)
    assert table.field(label).type == pa.int8()


def test_an_unknown_set_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="the nearest is sklearn:digits"):
        is_bundled("sklearn:digit")


def test_a_path_is_no_bundled_set():
    assert not is_bundled("digits.parquet")
