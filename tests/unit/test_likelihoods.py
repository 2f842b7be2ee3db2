"""Held-out likelihoods of a model that is known: an untrained energy is the density of N(0, I) at every level."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from scorefleet.tasks.dag.artifacts import Model, Normaliser
from scorefleet.tasks.data.schema import Column, DataSchema
from scorefleet.tasks.ebm import likelihood
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.ebm.dequantise import Grid
from scorefleet.tasks.judging import likelihoods
from scorefleet.tasks.judging.quality import Rows
from scorefleet.tasks.mcmc.noise_ladder.smc import LogZ
from scorefleet.tasks.reports.likelihood_wording import likelihood as lines_of

SIGMA = 0.05
LOGIT_BETA = 2 * math.log(SIGMA)
LOCATIONS, SCALES = np.array([10.0, -3.0]), np.array([2.0, 0.5])


@pytest.fixture
def model(tmp_path):
    architecture = {"dim": 2, "energy": "scalar_head", "width": 8, "num_blocks": 1, "num_conditions": 0}
    for name, data in models.to_files(models.build(**architecture), architecture).items():
        (tmp_path / name).write_bytes(data)
    return Model(str(tmp_path), models.digest(tmp_path))


def rows_of(num_rows):
    x = np.random.default_rng(0).standard_normal((num_rows, 2)).astype(np.float32)
    return Rows(x, x[::-1].copy(), x)


def schema_of(is_whole=False):
    columns = (
        Column(f"x{k}", "float64", (), (LOCATIONS[k],), float(SCALES[k]), -100.0, 100.0, is_whole) for k in range(2)
    )
    return DataSchema(tuple(columns))


def held_out(model, logs, temperature=1.0, sampled=None, num_rows=200, schema=None):
    normaliser = Normaliser("", LOGIT_BETA, temperature, logs, sampled or logs)
    schema = schema or schema_of()
    grid = Grid(*(torch.from_numpy(part) for part in schema.grid()), torch.full((2,), 0.1), torch.full((2,), 0.1))
    return likelihoods.held_out(rows_of(num_rows), schema, grid, model, normaliser, 0)


def test_rows_have_the_density_of_the_noised_law_in_the_users_units(model):
    metrics, tables = held_out(model, (0.0,) * 8)
    x = rows_of(200).held_out * SCALES + LOCATIONS
    exact = stats.norm(LOCATIONS, SCALES * math.sqrt(1 + SIGMA**2)).logpdf(x).sum(1)
    np.testing.assert_allclose(tables["likelihoods"]["log_likelihood"], exact, atol=1e-4)
    assert metrics["likelihood/held_out"] == pytest.approx(exact.mean(), abs=1e-4)


def test_a_constant_of_the_energy_is_taken_out(model):
    """log Z one nat higher, one nat lower likelihood, and the flow, which knows no log Z, tells the difference."""
    metrics, _ = held_out(model, (0.0,) * 8)
    higher, _ = held_out(model, (1.0,) * 8)
    assert higher["likelihood/held_out"] == pytest.approx(metrics["likelihood/held_out"] - 1)
    assert metrics["likelihood/energy_minus_flow"] == pytest.approx(0, abs=0.01)
    assert higher["likelihood/energy_minus_flow"] == pytest.approx(-1, abs=0.01)


def test_the_density_at_the_chains_temperature_stands_beside(model):
    """`exp(f/T)` of N(0, I) is N(0, T I) times `(2 pi)^((1 - 1/T) d/2) T^(d/2)`."""
    temperature = 1.3
    constant = (1 - 1 / temperature) * math.log(2 * math.pi) + math.log(temperature)
    metrics, _ = held_out(model, (0.0,) * 8, temperature, (constant,) * 8)
    x = rows_of(200).held_out * SCALES + LOCATIONS
    wide = SCALES * math.sqrt(temperature * (1 + SIGMA**2))
    exact = stats.norm(LOCATIONS, wide).logpdf(x).sum(1).mean()
    assert metrics["likelihood/sampled_held_out"] == pytest.approx(exact, abs=1e-3)
    assert metrics["likelihood/sampled_log_z"] == pytest.approx(constant)


def test_the_interval_holds_the_error_of_the_rows_and_of_log_z():
    """Rows alone: 1.96 standard errors; an exact mean: that of log Z."""
    nats = np.array([0.0, 2.0] * 50)
    error = nats.std(ddof=1) / 10
    assert likelihoods.mean_reach(nats, LogZ(5.0, 5.0, 5.0, 0.0)) == pytest.approx(1.96 * error, rel=1e-3)
    assert likelihoods.mean_reach(np.ones(100), LogZ(5.0, 4.7, 5.3, 0.0)) == pytest.approx(0.3)


def test_only_whole_numbers_have_bits(model):
    metrics, tables = held_out(model, (0.0,) * 8)
    assert "likelihood/bits_per_dimension" not in metrics
    assert tables["likelihoods"].column_names == ["row", "log_likelihood", "by_probability_flow"]
    metrics, tables = held_out(model, (0.0,) * 8, schema=schema_of(is_whole=True))
    nats = tables["likelihoods"]["log_likelihood"].to_numpy()
    assert metrics["likelihood/bits_per_dimension"] == pytest.approx(-nats.mean() / (2 * math.log(2)))


def test_rows_beyond_those_of_the_flow_have_none(model):
    metrics, tables = held_out(model, (0.0,) * 8)
    num_scored = int(metrics["likelihood/num_flow_rows"])
    assert (
        tables["likelihoods"]["by_probability_flow"].null_count == 200 - num_scored == 200 - likelihoods.MAX_FLOW_ROWS
    )


def test_the_page_says_where_a_number_is_not_to_be_trusted(model):
    beside = {"chains/weights_ess_fraction": 0.5, "chains/log_z": 0.1, "chains/log_z_standard_error": 0.1}
    good, _ = held_out(model, (-0.01, 0.01) * 4)
    poor, _ = held_out(model, (-2.0, 1.0) * 4)
    away, _ = held_out(model, (0.99, 1.01) * 4)
    assert all(line.is_good in (None, True) for line in lines_of(good | beside))
    assert [line.name for line in lines_of(poor | beside) if line.is_good is False] == ["Log normaliser log Z"]
    assert [line.name for line in lines_of(away | beside) if line.is_good is False] == ["Energy minus probability flow"]


def test_the_page_says_that_rows_of_many_numbers_have_no_flow(model, monkeypatch):
    monkeypatch.setattr(likelihood, "MAX_EXACT_DIM", 1)
    metrics, _ = held_out(model, (0.0,) * 8)
    beside = {"chains/weights_ess_fraction": 0.5, "chains/log_z": 0.1}
    line = lines_of(metrics | beside)[-1]
    assert "likelihood/flow" not in metrics
    assert line.meaning.startswith("Not computed")
