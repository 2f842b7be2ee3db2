import numpy as np
import pytest

from scorefleet.tasks.data.schema import Column, DataSchema
from scorefleet.tasks.judging.quality import Labels, Rows, class_balance, column_table, compare, coordinate_names

SCHEMA = DataSchema(
    (
        Column("length", "float64", (), (10.0,), 2.0, 0.0, 20.0, False),
        Column("image", "float32", (1, 2), (0.0, 1.0), 0.5, -9.0, 9.0, False),
    )
)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_coordinates_are_named_by_column_and_index():
    assert coordinate_names(SCHEMA) == ["length", "image[0, 0]", "image[0, 1]"]


def test_column_table_finds_the_shifted_column():
    draws = normal(0, 500, 3)
    draws[:, 2] += 1
    table = column_table(Rows(normal(1, 9, 3), normal(2, 400, 3), draws), SCHEMA).to_pandas()
    assert table["mean_draws"].tolist() == pytest.approx([10, 0, 1.5], abs=0.3)
    assert table["sd_draws"].tolist() == pytest.approx([2, 0.5, 0.5], rel=0.15)
    assert table["ks_p_value"][2] < 1e-9 < table["ks_p_value"][:2].min()


def test_too_few_held_out_rows_are_described_but_not_tested():
    quality = compare(Rows(normal(3, 50, 3), normal(4, 4, 3), normal(5, 50, 3)), SCHEMA, 1e-3, 0)
    assert quality.metrics == {}
    assert quality.tables.keys() == {"columns"}


def balance(num_second):
    """Two classes, 30 % and 70 % of the data; of 200 draws `num_second` belong to the second."""
    train_labels, held_out_labels = np.repeat(["a", "b"], [90, 210]), np.repeat(["a", "b"], [30, 70])
    sizes = (np.array([90, 210]), np.array([30, 70]), np.array([200 - num_second, num_second]))
    rows = [normal(k, sum(size), 2) + 8 * np.repeat([0, 1], size)[:, None] for k, size in enumerate(sizes)]
    return class_balance(Rows(*rows), Labels(train_labels, held_out_labels))


def test_balanced_draws_have_ratios_of_one():
    quality = balance(140)
    assert quality.metrics["quality/class_accuracy"] == 1
    assert quality.tables["classes"]["ratio"].to_pylist() == pytest.approx([1, 1])


def test_a_missing_class_has_ratio_zero():
    assert balance(200).metrics["quality/class_ratio_min"] == 0


def test_a_single_class_is_no_balance():
    rows = Rows(normal(0, 30, 2), normal(1, 30, 2), normal(2, 30, 2))
    assert class_balance(rows, Labels(np.zeros(30), np.zeros(30))).metrics == {}
