import numpy as np

from tasks.mcmc.diagnostics import nested_rhat
from tasks.travel_measures import Draws, _mixing, summarise


def draws(log_density):
    position = np.random.default_rng(0).standard_normal((8, 50, 2))
    return Draws(position, log_density, np.ones((8, 50), dtype=np.int32), np.arange(8) % 4)


def test_a_constant_log_density_such_as_a_uniform_one_is_not_judged():
    rounding = 1e-15 * np.random.default_rng(1).integers(0, 2, (8, 50))
    for constant in (np.zeros((8, 50)), 7 + rounding):
        mixing = _mixing(summarise(draws(constant)))
        assert 1 <= mixing["chains/rhat_max"] < 1.2
        assert mixing["chains/nested_rhat_max"] < 1.2
        assert mixing["chains/bulk_ess_min"] > 100


def test_a_log_density_that_drifts_is_judged():
    drifting = np.broadcast_to(np.arange(8.0)[:, None], (8, 50)) + 1e-3 * np.random.default_rng(2).random((8, 50))
    assert _mixing(summarise(draws(drifting)))["chains/rhat_max"] > 2


def test_superchains_that_differ_in_spread_alone_do_not_agree():
    """Half of them reach twice as far: their means agree, up to the error of 100 draws."""
    apart = draws(np.zeros((8, 50)))
    apart.position[np.arange(8) % 4 < 2] *= 3
    rows = summarise(apart).to_pylist()[1:]
    assert min(row["nested_rhat"] for row in rows) > 1.1
    assert max(nested_rhat(apart.position[:, :, k], apart.superchain) for k in (0, 1)) < 1.05
