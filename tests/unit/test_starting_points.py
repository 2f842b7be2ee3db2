import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from scorefleet.tasks import config
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.mcmc.coordinates.constraints import parse
from scorefleet.tasks.sampling.sample_target import key_of
from scorefleet.tasks.user_code import density, starting_points

POINTS = np.array([[0.5, 1.0], [0.25, 2.0], [0.75, 0.5]])
MODULE = """
import numpy, torch

def points():
    return [[0.5, 1.0], [0.25, 2.0], [0.75, 0.5]]

def tensor():
    return torch.tensor(points(), requires_grad=True)

def words():
    return [["a", "b"]]

def broken():
    return 1 / 0

def inside(x):
    return torch.where(x[:, 1] < 1.5, -x.sum(1), -torch.inf)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    np.save(tmp_path / "points.npy", POINTS)
    (tmp_path / "named.csv").write_text("a,b\n0.5,1\n0.25,2\n0.75,0.5\n")
    (tmp_path / "bare.csv").write_text("0.5,1\n0.25,2\n0.75,0.5\n")
    pq.write_table(pa.table({"a": POINTS[:, 0], "b": POINTS[:, 1]}), tmp_path / "columns.parquet")
    pq.write_table(pa.table({"position": POINTS.tolist()}), tmp_path / "lists.parquet")
    np.save(tmp_path / "one_column.npy", POINTS[:, 0])
    np.save(tmp_path / "nan.npy", np.array([[0.5, 1.0], [np.nan, 1.0]]))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "words.csv").write_text("a,b\nx,y\n")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    (tmp_path / "empty.npy").touch()
    (tmp_path / "my_points.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    starting_points.read.cache_clear()
    yield
    sys.modules.pop("my_points", None)


@pytest.mark.parametrize(
    "init",
    ["points.npy", "named.csv", "bare.csv", "columns.parquet", "lists.parquet", "my_points:points", "my_points:tensor"],
)
def test_points_are_the_same_however_they_are_given(init):
    given = starting_points.read(init, 2)
    np.testing.assert_array_equal(given.x, POINTS)
    assert given.digest == starting_points.read("points.npy", 2).digest


@pytest.mark.parametrize(
    ("init", "kind", "message"),
    [
        ("one_column.npy", DataError, r"shape \[n, 2\], n at least 1, but has \[3\]"),
        ("nan.npy", DataError, "row 2 of 2 is not finite"),
        ("objects.npy", DataError, "must give numbers"),
        ("words.csv", DataError, "must give numbers"),
        ("cut.parquet", DataError, "cannot be read"),
        ("empty.npy", DataError, "must give numbers"),
        ("nowhere.csv", UsageError, "cannot be read .No such file"),
        ("my_points:words", DataError, "must give numbers"),
        ("my_points:broken", DataError, "init 'my_points:broken' raised ZeroDivisionError"),
        ("my_points:nobody", UsageError, "has no function 'nobody'"),
    ],
)
def test_what_is_no_points_is_refused_in_one_line(init, kind, message):
    with pytest.raises(kind, match=message) as caught:
        starting_points.read(init, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("init", ["points.txt", "points", "my_points:", ""])
def test_what_is_neither_a_file_nor_a_function_is_refused(init):
    with pytest.raises(ValueError, match="init must be a file"):
        config.Chains("a:b", init=init)


@pytest.mark.parametrize("support", ["box(0, 1), positive", "real*2", "positive*2"])
def test_points_inside_lead_to_free_coordinates_and_back(support):
    inside = parse(support, 2)
    z = starting_points.to_free("points.npy", POINTS, inside)
    torch.testing.assert_close(inside.constrain(z)[0], torch.from_numpy(POINTS))


@pytest.mark.parametrize(("support", "x"), [("box(-3, 7)", 0.0), ("box(-1000000, 1000000)", 1e-5), ("positive", 1e-12)])
def test_a_point_near_zero_is_inside_a_wide_support(support, x):
    assert starting_points.to_free("points.npy", np.array([[x]]), parse(support, 1)).isfinite().all()


@pytest.mark.parametrize("support", ["box(0, 1)*2", "simplex*2", "positive, box(3, 4)"])
def test_points_outside_the_support_are_refused(support):
    with pytest.raises(DataError, match=r"row [12] of 3, \[.*\], is outside the support"):
        starting_points.to_free("points.npy", POINTS, parse(support, 2))


def test_a_point_without_a_finite_density_is_refused():
    support = parse("real", 2)
    start = starting_points.to_free("points.npy", POINTS, support)
    with pytest.raises(DataError, match="not finite at row 2 of the 3 points of --init"):
        density.check("my_points:inside", density.load("my_points:inside"), support, start)


def test_the_points_are_part_of_what_a_step_is_known_by():
    before = key_of(config.Chains("my_points:inside", dim=2, init="points.npy"))
    starting_points.read.cache_clear()
    np.save("points.npy", POINTS + 1)
    assert key_of(config.Chains("my_points:inside", dim=2, init="points.npy")) != before
    assert " " not in key_of(config.Chains("my_points:inside", dim=2))
