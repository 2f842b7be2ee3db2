import math

import numpy as np
import pytest
from scipy import stats

from scorefleet.tasks.mcmc.diagnostics import diagnostics


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def test_rhat_of_independent_draws_is_one():
    assert diagnostics.split_rhat(normal(0, 64, 50)) == pytest.approx(1, abs=0.01)


def test_rhat_exposes_chains_that_stay_in_their_own_mode():
    assert diagnostics.split_rhat(normal(0, 64, 50) + np.repeat([0, 6], 32)[:, None]) > 1.5


def test_rank_normalisation_bears_infinite_variance():
    assert diagnostics.split_rhat(np.tan(math.pi * (np.random.default_rng(0).random((16, 500)) - 0.5))) < 1.02


def test_ess_of_independent_draws_is_their_number():
    draws = normal(1, 16, 400)
    assert diagnostics.bulk_ess(draws) == pytest.approx(draws.size, rel=0.15)
    assert diagnostics.tail_ess(draws) == pytest.approx(draws.size, rel=0.3)


def test_ess_of_an_autoregression_has_its_known_value():
    draws = normal(2, 64, 2000)
    for k in range(1, 2000):
        draws[:, k] = 0.9 * draws[:, k - 1] + math.sqrt(1 - 0.81) * draws[:, k]
    assert diagnostics.bulk_ess(draws) == pytest.approx(draws.size * (1 - 0.9) / (1 + 0.9), rel=0.15)


def test_nested_rhat_of_independent_draws_is_near_its_expectation():
    rhat = diagnostics.nested_rhat(normal(3, 100 * 64, 4), np.repeat(np.arange(100), 64))
    assert rhat == pytest.approx(math.sqrt(1 + 1 / 256), abs=1e-3)


def test_nested_rhat_works_with_one_draw_or_one_chain():
    one_draw = diagnostics.nested_rhat(normal(4, 50 * 20, 1), np.repeat(np.arange(50), 20))
    one_chain = diagnostics.nested_rhat(normal(4, 50, 20), np.arange(50))
    assert one_draw == pytest.approx(math.sqrt(1 + 1 / 20), abs=0.02)
    assert one_chain == pytest.approx(math.sqrt(1 + 1 / 20), abs=0.02)


def test_nested_rhat_exposes_superchains_that_keep_their_start():
    superchain = np.tile(np.arange(10), 20)
    assert diagnostics.nested_rhat(normal(5, 200, 4) + superchain[:, None], superchain) > 2


def test_nested_rhat_of_superchains_of_one_size_is_that_of_its_definition():
    draws = normal(6, 30, 7)
    means = draws.reshape(10, 3, 7).mean(2)
    within = means.var(1, ddof=1).mean() + draws.var(1, ddof=1).mean()
    expected = math.sqrt(1 + means.mean(1).var(ddof=1) / within)
    assert diagnostics.nested_rhat(draws, np.repeat(np.arange(10), 3)) == pytest.approx(expected, rel=1e-12)


def test_nested_rhat_counts_every_chain_of_superchains_that_differ_in_size():
    """Of 10 superchains 3 have two chains and 7 have one: with N draws B is near `1/(M N)`, and M is 1.28."""
    superchain = np.array([*range(10), 0, 1, 2])
    rhats = [diagnostics.nested_rhat(normal(seed, 13, 100), superchain) for seed in range(200)]
    size = (13 - (3 * 4 + 7) / 13) / 9
    assert np.square(rhats).mean() - 1 == pytest.approx(1 / (size * 100), rel=0.2)
    alone = normal(7, 13, 100) + 2 * (superchain == 9)[:, None]
    assert diagnostics.nested_rhat(alone, superchain) > 1.1


def test_nested_rhat_of_one_superchain_is_refused():
    with pytest.raises(ValueError, match="needs 2 or more superchains, but got 1"):
        diagnostics.nested_rhat(normal(6, 6, 4), np.zeros(6, int))


def test_rank_normalised_draws_are_normal_whatever_their_law():
    scores = diagnostics.rank_normalised(np.random.default_rng(0).standard_cauchy((40, 50)))
    assert stats.kstest(scores.ravel(), "norm").pvalue > 0.999
    assert scores.shape == (40, 50)


def test_weights_ess_is_one_for_one_heavy_weight_and_all_for_equal_ones():
    assert diagnostics.weights_ess(np.full(100, -5000.0)) == pytest.approx(100)
    assert diagnostics.weights_ess(np.array([1000.0, 0, 0])) == pytest.approx(1)


def test_log_mean_exp_and_its_error_match_log_normal_weights():
    estimates = np.array([diagnostics.log_mean_exp(3000 + normal(seed, 500)) for seed in range(400)])
    error = estimates[:, 0].std()
    assert estimates[:, 0].mean() == pytest.approx(3000.5, abs=4 * error / math.sqrt(400) + error**2)
    assert estimates[:, 1].mean() == pytest.approx(error, rel=0.15)


def test_no_chain_moves_where_nothing_is_accepted():
    assert diagnostics.max_stuck(100, 5, 0.0, 1e-4) == 100


def test_unmoved_probability_is_that_of_a_beta_mixture_of_binomials():
    rates = np.random.default_rng(7).beta(0.574 * 4, 0.426 * 4, size=400_000)
    assert diagnostics.unmoved_probability(0.574, 10) == pytest.approx(((1 - rates) ** 10).mean(), rel=0.02)


def test_stuck_chains_are_rarely_too_many_when_all_move():
    """At a false-alarm rate of .01, 4,000 fleets raise more than 72 alarms once in a million."""
    num_fleets, rate = 4000, 0.01
    random = np.random.default_rng(8)
    stuck = random.binomial(1024, diagnostics.unmoved_probability(0.574, 10), num_fleets)
    alarms = (stuck > diagnostics.max_stuck(1024, 10, 0.574, rate)).sum()
    assert alarms <= stats.binom.isf(1e-6, num_fleets, rate)


def test_one_stuck_chain_in_ten_is_too_many():
    assert diagnostics.max_stuck(1024, 10, 0.574, 1e-3 / 72) < 102


def test_acceptance_error_grows_with_correlation_inside_a_chain():
    independent = math.sqrt(0.25 / (100 * 10))
    assert diagnostics.acceptance_error(0.5, 100, 10) == pytest.approx(independent * math.sqrt(2.8))


def test_drift_is_seen_in_chains_that_rise_and_not_in_chains_that_stay():
    """12 chains that all rise have the least p there is, 2/2^12; of 200 sets of autoregressive chains that stay, those
    with p below .01 are a binomial number, 12 or more of which have probability 1.1e-6.
    """
    random = np.random.default_rng(0)
    noise = random.standard_normal((200, 12, 90))
    chains = np.zeros_like(noise)
    chains[:, :, 0] = noise[:, :, 0] / np.sqrt(1 - 0.9**2)
    for k in range(1, 90):
        chains[:, :, k] = 0.9 * chains[:, :, k - 1] + noise[:, :, k]
    assert sum(diagnostics.drift(draws).p_value < 0.01 for draws in chains) < 12
    rising = diagnostics.drift(chains[0] + np.linspace(0, 60, 90))
    assert rising.p_value == 2 / 2**12
    assert 30 < rising.rise < 50
