"""What a density gets as `data`, whatever holds it."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from scorefleet.pipelines.in_python import _file_of
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.user_code.observations import read

COLUMNS = {"y": [1.5, 2.5], "n": [3, 4], "is_new": [True, False], "group": ["a", "b"]}


@pytest.mark.parametrize("hold", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "Arrow"])
def test_a_table_is_a_dict_of_its_columns(hold, tmp_path):
    given = read(_file_of(hold(COLUMNS), tmp_path)).values
    assert [*given] == [*COLUMNS]
    assert (given["y"].dtype, given["n"].dtype, given["is_new"].dtype) == (torch.float64, torch.int64, torch.bool)
    assert given["y"].tolist() == [1.5, 2.5]
    assert given["group"] == ["a", "b"]


def test_a_file_gives_the_same_and_gaps_are_nan(tmp_path):
    (tmp_path / "y.csv").write_text("y;group\n1,5;a\n;b\n")
    given = read(str(tmp_path / "y.csv")).values
    assert given["y"][0] == 1.5
    assert given["y"][1].isnan()


def test_arrays_are_tensors_of_any_lengths(tmp_path):
    assert read(_file_of(np.ones((2, 3), dtype=np.float32), tmp_path)).values.dtype == torch.float64
    several = read(_file_of({"x": np.ones((2, 3)), "y": torch.arange(5)}, tmp_path)).values
    assert several["x"].shape == (2, 3)
    assert several["y"].tolist() == [0, 1, 2, 3, 4]
    mixed = read(_file_of({"x": [1.0, 2.0], "group": ["a", "b"]}, tmp_path)).values
    assert (mixed["x"].tolist(), mixed["group"]) == ([1.0, 2.0], ["a", "b"])
    images = pa.table({"pixels": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6.0)), 3)})
    pq.write_table(images, tmp_path / "images.parquet")
    assert read(str(tmp_path / "images.parquet")).values["pixels"].shape == (2, 3)


def test_what_changes_is_read_again_under_another_digest(tmp_path):
    path = tmp_path / "y.npy"
    np.save(path, np.zeros(2))
    first = read(str(path))
    np.save(path, np.ones(2))
    assert read(str(path)).digest != first.digest
    assert read(str(path)).values.tolist() == [1, 1]


def test_what_holds_no_data_is_refused(tmp_path):
    np.save(tmp_path / "pickled.npy", np.array([object()]), allow_pickle=True)
    for name, said in (
        (".", "is a folder"),
        ("pickled.npy", "cannot be read as arrays"),
        ("none.csv", "does not exist"),
    ):
        with pytest.raises(DataError, match=said):
            read(str(tmp_path / name))
