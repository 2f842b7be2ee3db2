import numpy as np
import pytest

from scorefleet.tasks.judging.target_measures import Draws, _mixing, summarise
from scorefleet.tasks.mcmc.diagnostics.diagnostics import nested_rhat


def draws(log_density):
    position = np.random.default_rng(0).standard_normal((8, 50, 2))
    return Draws(position, log_density, np.ones((8, 50), dtype=np.int32), np.arange(8) % 4)


def summarised(drawn):
    return summarise(drawn, [f"x[{k}]" for k in range(drawn.position.shape[2])])


def test_a_constant_log_density_such_as_a_uniform_one_is_not_judged():
    rounding = 1e-15 * np.random.default_rng(1).integers(0, 2, (8, 50))
    for constant in (np.zeros((8, 50)), 7 + rounding):
        mixing = _mixing(summarised(draws(constant)))
        assert 1 <= mixing["chains/rhat_max"] < 1.2
        assert mixing["chains/nested_rhat_max"] < 1.2
        assert mixing["chains/bulk_ess_min"] > 100


def test_a_log_density_that_drifts_is_judged():
    drifting = np.broadcast_to(np.arange(8.0)[:, None], (8, 50)) + 1e-3 * np.random.default_rng(2).random((8, 50))
    assert _mixing(summarised(draws(drifting)))["chains/rhat_max"] > 2


def travelled(values, num_starts=64):
    """Draws of one coordinate, whose chains began at as many points in turn."""
    num_chains = len(values)
    superchain = np.arange(num_chains) % num_starts
    return Draws(values[:, :, None], values, np.ones(values.shape, dtype=np.int32), superchain)


def rhat_of(values):
    return _mixing(summarised(travelled(values)))["chains/nested_rhat_max"]


STANDARD = np.random.default_rng(3).standard_normal((200, 400))
"""Independent draws of 200 chains, of which 64 starting points have 3 or 4."""


def test_draws_of_one_law_agree():
    """80,000 independent draws from 64 points bring R-hat to sqrt(1 + 64/80000), 1.0004."""
    assert 1 < rhat_of(STANDARD) < 1.002


@pytest.mark.parametrize("start", [7, 8, 63])
def test_one_starting_point_whose_chains_never_left_it_is_seen(start):
    stuck = STANDARD.copy()
    stuck[np.arange(200) % 64 == start] += 5
    assert rhat_of(stuck) > 1.03


def test_one_chain_for_each_but_a_few_starting_points_is_enough_to_see_it():
    few = STANDARD[:66].copy()
    few[40] += 5
    assert rhat_of(few) > 1.05


def test_chains_that_drift_together_do_not_agree():
    assert rhat_of(STANDARD + np.linspace(-0.5, 0.5, 400)) > 1.03


def test_starting_points_that_differ_under_heavy_tails_are_seen():
    """Their means have no error that an R-hat of the values could compare them by."""
    cauchy = np.random.default_rng(4).standard_cauchy((192, 400))
    apart = cauchy + np.where(np.arange(192) % 64 < 32, 0.5, -0.5)[:, None]
    assert rhat_of(apart) > 1.015
    assert rhat_of(cauchy) < 1.002


def test_superchains_that_differ_in_spread_alone_do_not_agree():
    """Half of them reach twice as far: their means agree, up to the error of 100 draws."""
    apart = draws(np.zeros((8, 50)))
    apart.position[np.arange(8) % 4 < 2] *= 3
    rows = summarised(apart).to_pylist()[1:]
    assert min(row["nested_rhat"] for row in rows) > 1.1
    assert max(nested_rhat(apart.position[:, :, k], apart.superchain) for k in (0, 1)) < 1.05
