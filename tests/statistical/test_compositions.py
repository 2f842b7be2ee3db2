"""Chains over compositions, from the files of models to the rows of a store, against laws that are known.

The models are exactly Gaussian, so that a composition is known in the user's units; `position` is at the lowest noise,
where the law is that of the formula with the noise in it, and so is known without any approximation.
"""

import sys

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from scorefleet.tasks.config import commands
from scorefleet.tasks.ebm.noise import ladder
from scorefleet.tasks.mcmc.noise_ladder import annealing
from scorefleet.tasks.mcmc.noise_ladder.annealing import Tuning
from scorefleet.tasks.mcmc.noise_ladder.program import Program, first_segment
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.registry import composing
from scorefleet.tasks.sampling import composition
from scorefleet.tasks.sampling.draws import to_table
from scorefleet.tasks.store.subsets import vectors
from tests import gaussians

NUM_CHAINS, LOWEST = 2048, -4.0
BETA = 1 / (1 + np.exp(-LOWEST))
A = gaussians.rows_of([1.0, -2.0, 5.0], [[1.0, 0.5, 0.2], [0.5, 2.0, -0.3], [0.2, -0.3, 0.5]], 1)
B = gaussians.rows_of([3.0, 0.0, 5.5], [[4.0, -1.0, 0.0], [-1.0, 0.9, 0.1], [0.0, 0.1, 9.0]], 2)
SLOPE, INTERCEPT = np.array([1.5, 0.0, -2.0]), 8.0
CLASSIFIER = f"""
import torch

def log_probabilities(x):
    logit = x @ torch.tensor({SLOPE.tolist()}, dtype=x.dtype) + {INTERCEPT}
    return torch.nn.functional.logsigmoid(torch.stack([-logit, logit], dim=1))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "two_classes.py").write_text(CLASSIFIER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("two_classes", None)


def drawn(folder, *rows, **changes):
    """Rows of a store, and their noised points in the user's units, of chains over a composition of Gaussians."""
    for k, part in enumerate(rows):
        gaussians.write(folder / f"part-{k}", part, "abc")
    times = tuple(f"models:/b/{k}" for k in range(1, len(rows)))
    composing.publish(commands.Generate(model="models:/a/1", times=times, **changes), folder)
    loaded, schema = composition.load(folder), composition.schema_of(folder)

    def target_at(level):
        return lambda x: loaded.value_and_score(x, torch.full((len(x),), level))

    levels = tuple(ladder(12, LOWEST).tolist())
    tuned = annealing.tune(Stream(0, 0, "tuning"), target_at, levels, loaded.dim, Tuning(256, 12, 0.574))
    program = Program(0, "draws", tuned, 8, NUM_CHAINS, loaded.dim, 1, 1, 1)
    made = first_segment(program, 0, range(1), target_at, "cpu")
    table = to_table(made, program, range(NUM_CHAINS), loaded, schema)
    return table, schema.location + schema.scale * vectors(table["position"]) / np.sqrt(1 - BETA)


def assert_gaussian(y, mean, covariance):
    """Independent chains: each whitened coordinate by Kolmogorov-Smirnov, at 1e-6 over all, and each correlation of
    them within 5 of its standard errors `n^(-1/2)`, 6e-7.
    """
    white = np.linalg.solve(np.linalg.cholesky(covariance), (y - mean).T)
    assert min(stats.kstest(row, "norm").pvalue for row in white) > 1e-6 / len(white)
    correlation = np.corrcoef(white).reshape(len(white), -1)
    assert np.abs(correlation - np.eye(len(white))).max() < 5 / np.sqrt(NUM_CHAINS)


def product_law(weights):
    """Mean and covariance of `p_A^w_A p_B^w_B`, noised in the units of each: precisions add."""
    laws = [gaussians.law(rows, BETA) for rows in (A, B)]
    precision = sum(w * np.linalg.inv(v) for w, (_, v) in zip(weights, laws, strict=True))
    shift = sum(w * np.linalg.solve(v, m) for w, (m, v) in zip(weights, laws, strict=True))
    return np.linalg.solve(precision, shift), np.linalg.inv(precision)


def test_a_product_of_models_in_other_units_has_the_law_of_the_product(folder):
    _, y = drawn(folder, A, B, weights=(0.5, 2.0))
    assert_gaussian(y, *product_law((0.5, 2.0)))


def test_free_coordinates_have_the_law_given_the_fixed_one(folder):
    """`a | b ~ N(m_a + V_ab (b - m_b)/V_bb, V_aa - V_ab V_ba/V_bb)`, and b in every row as it was given."""
    table, y = drawn(folder, A, fixed={"b": 0.7})
    mean, v = gaussians.law(A, BETA)
    free, gain = [0, 2], v[[0, 2], 1] / v[1, 1]
    given = v[np.ix_(free, free)] - np.outer(gain, v[1, free])
    assert_gaussian(y[:, free], mean[free] + gain * (0.7 - mean[1]), given)
    assert set(table["b"].to_pylist()) == {0.7}
    assert np.abs(y[:, 1] - 0.7).max() < 1e-5


@pytest.mark.parametrize("label", [0, 1])
def test_rows_of_a_class_have_the_law_of_bayes(folder, label):
    """Along the slope u of the classifier the law is `N(u) p(label | u)`, by quadrature; Kolmogorov-Smirnov, 1e-6."""
    _, y = drawn(folder, A, classifier="two_classes:log_probabilities", label=label)
    mean, v = gaussians.law(A, BETA)
    center, spread = mean @ SLOPE + INTERCEPT, np.sqrt(SLOPE @ v @ SLOPE)
    assert_of_class(y @ SLOPE + INTERCEPT, center, spread, 1 if label else -1)


def test_product_class_and_fixed_coordinates_combine(folder):
    """Two of three coordinates fixed: the third has the conditional of the product times the logistic function."""
    fixed = {"b": -1.0, "a": 2.0}
    table, y = drawn(folder, A, B, fixed=fixed, classifier="two_classes:log_probabilities", label=0)
    mean, covariance = product_law((1.0, 1.0))
    precision = np.linalg.inv(covariance)
    center = mean[2] - precision[2, :2] @ (np.array([2.0, -1.0]) - mean[:2]) / precision[2, 2]
    logit, slope = SLOPE @ [2.0, -1.0, center] + INTERCEPT, SLOPE[2]
    assert_of_class(y @ SLOPE + INTERCEPT, logit, abs(slope) / np.sqrt(precision[2, 2]), -1)
    assert set(zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)) == {(2.0, -1.0)}


def assert_of_class(logit, center, spread, sign):
    """`p(l) ~ N(l; center, spread^2) / (1 + exp(-sign l))`."""
    at = np.linspace(center - 9 * spread, center + 9 * spread, 20_001)
    density = np.exp(-0.5 * ((at - center) / spread) ** 2 - np.logaddexp(0, -sign * at))
    cumulative = integrate.cumulative_simpson(density, x=at, initial=0)
    cdf = lambda l: np.interp(l, at, cumulative / cumulative[-1])  # noqa: E731, E741
    assert stats.kstest(logit, cdf).pvalue > 1e-6
    is_telling = stats.kstest(logit, stats.norm(center, spread).cdf).pvalue < 1e-6
    assert is_telling, "the classifier changes too little to be tested"
