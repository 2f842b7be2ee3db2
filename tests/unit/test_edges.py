import numpy as np
import pytest
from scipy import stats

from scorefleet.tasks.mcmc.diagnostics.edges import EDGE, LEVELS, thinning_out

P = (np.arange(100_000) + 0.5) / 100_000


@pytest.mark.parametrize(
    "law", [stats.norm, stats.laplace, stats.logistic, stats.t(2)], ids=["normal", "Laplace", "logistic", "t(2)"]
)
def test_tails_are_no_edges(law):
    assert thinning_out(law.ppf(P)[:, None]) > 0.7


def test_the_end_of_a_uniform_distribution_is_an_edge_on_either_side_and_in_any_coordinate():
    normal = stats.norm.ppf(P)
    for ended in (P, -P, np.where(P < 0.1, 20 * P - 10, normal)):
        assert thinning_out(np.stack([normal, ended], axis=1)) < EDGE


def test_equal_draws_at_an_end_are_no_tail():
    assert not thinning_out(np.maximum(stats.norm.ppf(P), -1.0)[:, None]) >= EDGE


def test_levels_reach_an_edge_that_a_hundredth_of_the_draws_has_come_to():
    assert min(LEVELS) < 0.01 / 2
