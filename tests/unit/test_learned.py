"""A registered model's density, score and denoised rows against closed forms, in the user's units.

An untrained energy is its anchor, `f(x', t) = ln N(x'; 0, I)` at every level: with z the standardised row and
`a = 1 - beta`, `q(z) = a^(d/2) N(sqrt(a) z; 0, I)` and `log Z = 0`.
"""

import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import stats

from scorefleet.tasks.data.schema import Column, DataSchema
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.ebm import noise
from scorefleet.tasks.errors import DataError, StorageError, UsageError
from scorefleet.tasks.registry.learned import of_folder

LEVEL = noise.logit_beta_of(0.05)
SIGNAL = float(torch.sigmoid(torch.tensor(-LEVEL, dtype=torch.float64)).sqrt())
REAL = (
    Column("mass", "float64", (), (70.0,), 12.0, 40.0, 130.0, False),
    Column("height", "float64", (), (1.7,), 0.1, 1.4, 2.1, False),
)
COUNT = Column("rooms", "int64", (), (3.0,), 1.5, 1.0, 8.0, True, (0.159,), (0.005,))
IMAGE = Column("x", "float32", (2, 3), (0.5,) * 6, 0.25, 0.0, 1.0, False)


def density(folder, columns, *, energy="inner_product", log_z=0.0):
    schema = DataSchema(columns)
    (folder / "schema.json").write_text(schema.to_json())
    architecture = {"dim": schema.dim, "energy": energy, "width": 8, "num_blocks": 1, "num_conditions": 0}
    for name, data in models.to_files(models.build(**architecture), architecture).items():
        (folder / name).write_bytes(data)
    if log_z is not None:
        logs = [log_z] * 8
        kept = {"logit_beta": LEVEL, "temperature": 1.0, "by_population": logs, "by_population_sampled": logs}
        (folder / "normaliser.json").write_text(json.dumps(kept))
    return of_folder(folder)


def rows(num_rows=7):
    random = np.random.default_rng(0)
    return {"mass": 70 + 12 * random.standard_normal(num_rows), "height": 1.7 + 0.1 * random.standard_normal(num_rows)}


def exact(mass, height):
    z = np.column_stack([(mass - 70) / 12, (height - 1.7) / 0.1])
    return stats.norm(scale=1 / SIGNAL).logpdf(z).sum(1) - math.log(12 * 0.1)


def test_the_log_density_is_that_of_the_users_units(tmp_path):
    found = density(tmp_path, REAL)
    assert found.columns == ("mass", "height")
    assert found.log_prob(rows()) == pytest.approx(exact(**rows()), abs=1e-4)
    other = density(tmp_path, REAL, log_z=0.7)
    assert (other.log_z.estimate, other.log_z.low, other.log_z.high) == pytest.approx((0.7, 0.7, 0.7))
    assert other.log_prob(rows()) == pytest.approx(exact(**rows()) - 0.7, abs=1e-4)


def test_it_is_shown_in_a_line(tmp_path):
    assert repr(density(tmp_path, REAL, log_z=None)) == "<LearnedDensity of mass, height; log Z unknown>"
    assert repr(density(tmp_path, REAL)) == "<LearnedDensity of mass, height; log Z 0.000, 0.000 to 0.000>"


def test_it_integrates_to_one(tmp_path):
    mass, height = np.meshgrid(np.linspace(0, 140, 281), np.linspace(1.1, 2.3, 241))
    nats = density(tmp_path, REAL).log_prob({"mass": mass.ravel(), "height": height.ravel()})
    assert np.exp(nats).sum() * 0.5 * 0.005 == pytest.approx(1, abs=1e-4)


def test_probabilities_of_whole_numbers_bound_those_that_draws_have_and_others_have_none(tmp_path):
    found, values = density(tmp_path, (COUNT,)), np.repeat(np.arange(1, 9), 4000)
    nats = found.log_prob({"rooms": values}).reshape(8, -1).mean(1)
    edges = (np.arange(1, 8) + 0.5 - 3.0) / 1.5
    truth = np.diff(stats.norm(scale=1 / SIGNAL).cdf([-np.inf, *edges, np.inf]))
    assert np.all(nats < np.log(truth) + 0.02)
    assert np.all(nats[1:7] > np.log(truth[1:7]) - 0.2)  # what is at an end is spread beyond it, as in training
    assert found.log_prob({"rooms": np.array([0.0, 9.0, 2.5])}).tolist() == [-np.inf] * 3


def test_the_score_is_the_slope_of_the_log_density(tmp_path):
    found, at = density(tmp_path, REAL), rows()
    for name, step in (("mass", 0.12), ("height", 0.001)):
        ends = [found.log_prob(at | {name: at[name] + sign * step}) for sign in (1, -1)]
        assert found.score(at)[name] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=0.02, abs=0.02 / step / 100)
    assert found.score(at)["mass"] == pytest.approx(-(SIGNAL**2) * (at["mass"] - 70) / 12**2, rel=1e-4, abs=1e-6)


def test_noise_of_one_standard_deviation_is_shrunk_by_half(tmp_path):
    clean = density(tmp_path, REAL).denoise(rows(), 1.0)
    assert clean["mass"] == pytest.approx(70 + (rows()["mass"] - 70) / 2, rel=1e-5)
    with pytest.raises(UsageError, match=r"noise_scale must be from 0\.05, .* but got 0"):
        density(tmp_path, REAL).denoise(rows(), 0)


@pytest.mark.parametrize(
    "held",
    [
        pa.table,
        pl.DataFrame,
        pd.DataFrame,
        lambda given: pd.DataFrame(given, index=list("abcdefg")),
        lambda given: pa.table({"name": ["a"] * 7} | dict(reversed(given.items()))),
        lambda given: np.column_stack(list(given.values())),
        lambda given: torch.from_numpy(np.column_stack(list(given.values()))),
    ],
    ids=["arrow", "polars", "pandas", "index", "other order and more", "numpy", "torch"],
)
def test_rows_may_be_held_in_anything(held, tmp_path):
    assert density(tmp_path, REAL).log_prob(held(rows())) == pytest.approx(exact(**rows()), abs=1e-4)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_may_be_in_a_file(ending, tmp_path):
    frame = pd.DataFrame(rows(60))
    frame.to_csv(tmp_path / "t.csv", index=False) if ending == "csv" else frame.to_parquet(tmp_path / "t.parquet")
    found = density(tmp_path, REAL).log_prob(tmp_path / f"t.{ending}")
    assert found == pytest.approx(exact(**rows(60)), abs=1e-4)


def test_images_are_arrays_or_lists(tmp_path):
    found, x = density(tmp_path, (IMAGE,)), np.random.default_rng(0).random((4, 2, 3), dtype=np.float32)
    expected = stats.norm(scale=1 / SIGNAL).logpdf((x.reshape(4, 6) - 0.5) / 0.25).sum(1) - 6 * math.log(0.25)
    for held in (x, x.reshape(4, 6), {"x": [list(row) for row in x.reshape(4, 6)]}):
        assert found.log_prob(held) == pytest.approx(expected, abs=1e-4)
    assert found.score(x)["x"].shape == (4, 2, 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mass": [70.0]}, "has no column 'height', which the model has: the nearest is 'mass'"),
        ({"mass": [70.0], "height": ["tall"]}, "column 'height' of the dict is string, but the model's holds numbers"),
        (pa.table([[1.0], [1.7], [2.0]], names=["mass", "height", "mass"]), "has several columns 'mass'"),
        (torch.zeros(1, 2, requires_grad=True), "the Tensor cannot be read as a table"),
        (np.zeros((3, 2), dtype=bool), "the ndarray is bool of shape"),
        ({"mass": [70.0, None], "height": [1.7, 1.8]}, "column 'mass' of the dict has 1 missing value"),
        ({"mass": [70.0, np.nan], "height": [1.7, 1.8]}, "column 'mass' of the dict is NaN or infinite in 1 row"),
        ({"mass": [[70.0, 1.0]], "height": [1.7]}, "column 'mass' of the dict is list"),
        (np.zeros((3, 4)), r"the ndarray is float64 of shape \(3, 4\), but must be numbers of shape \(rows, 2\)"),
        (np.array([["a", "b"]]), "must be numbers of shape"),
        (7, "the int cannot be read as a table"),
    ],
)
def test_what_are_no_rows_of_the_model_is_refused_in_a_line(given, said, tmp_path):
    with pytest.raises(DataError, match=said) as refused:
        density(tmp_path, REAL).log_prob(given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "schema.json", "normaliser.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff"])
def test_files_that_are_no_model_are_refused_in_a_line(name, content, tmp_path):
    density(tmp_path, REAL)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StorageError, match="are no whole model") as refused:
        of_folder(tmp_path)
    assert "\n" not in str(refused.value)


def test_no_rows_have_no_densities(tmp_path):
    assert density(tmp_path, REAL).log_prob({"mass": np.zeros(0), "height": np.zeros(0)}).shape == (0,)


def test_a_model_without_log_z_says_what_it_lacks(tmp_path):
    with pytest.raises(UsageError, match="without its log Z: run the command that trained it again"):
        density(tmp_path, REAL, log_z=None).log_prob(rows())
    with pytest.raises(UsageError, match="a log density needs a density, which a score-only model has not"):
        density(tmp_path, REAL, energy="score_only", log_z=None).log_prob(rows())
    assert density(tmp_path, REAL, energy="score_only", log_z=None).score(rows())["mass"].shape == (7,)
    with pytest.raises(UsageError, match=r"has no model\.json: name a registered model"):
        of_folder(tmp_path / "elsewhere")
