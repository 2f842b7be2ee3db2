import math

import numpy as np
import pytest
from scipy import stats

from scorefleet.tasks.mcmc.diagnostics.diagnostics import mean_error, sd_error
from scorefleet.tasks.mcmc.diagnostics.tail_index import tail_index, unreached

SHAPE = 64, 100


def draws(distribution, seed=0):
    return distribution.rvs(size=SHAPE, random_state=seed)


@pytest.mark.parametrize(("freedom", "k"), [(1, 1.0), (2, 0.5), (3, 0.333)])
def test_the_tail_index_is_one_over_the_degrees_of_freedom(freedom, k):
    """Fitted to 3 sqrt(6,400) = 240 draws: an error of (1 + k)/sqrt(240) = .13 at most; bound at 5."""
    assert abs(tail_index(draws(stats.t(freedom))) - k) < 5 * (1 + k) / math.sqrt(240)


def test_a_normal_tail_adds_nothing_to_speak_of():
    x = draws(stats.norm())
    assert sd_error(x, tail_index(x)) < 1.15 * sd_error(x, -math.inf)
    assert mean_error(x, tail_index(x)) < 1.05 * mean_error(x, -math.inf)


def test_a_moment_that_does_not_exist_has_no_error():
    x = draws(stats.cauchy())
    assert mean_error(x, 1.0) == sd_error(x, 0.5) == math.inf
    assert math.isfinite(mean_error(x, 0.6))


def test_draws_that_are_equal_or_few_have_no_tail():
    assert tail_index(np.ones(SHAPE)) == tail_index(draws(stats.cauchy())[:4, :4]) == 0.0


def test_the_standard_deviation_of_t3_is_within_a_few_of_its_errors():
    """12 fixed sets of as many independent draws as a default run has effective ones; with the usual error the worst is
    farther off, for the largest draw that there could be is mostly not there.
    """
    off, usual = [], []
    for seed in range(12):
        x = stats.t(3).rvs(size=(256, 300), random_state=seed)
        off.append((x.std() - 3**0.5) / sd_error(x, tail_index(x)))
        usual.append((x.std() - 3**0.5) / sd_error(x, -math.inf))
    assert max(map(abs, off)) < 3 < 4 < max(map(abs, usual))


def test_what_is_out_of_reach_is_that_of_the_pareto_distribution():
    """`E[y; y > Q]` of a Pareto of index 3 about its median, n = 10,000: Q/(n (1 - 1/3)), with k one error higher."""
    x = stats.lomax(3).isf((np.arange(100_000) + 0.5) / 100_000)[None]
    away = np.abs(x - np.median(x))
    expected = float(np.quantile(away, 1 - 1e-4)) / (1e4 * (1 - 1 / 3))
    assert expected < unreached(x, 1e4, 1 / 3) < 2 * expected
