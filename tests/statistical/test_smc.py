"""log Z of densities whose constants are known, and the error that is claimed for it."""

import math

import pytest
import torch
from scipy import stats

from scorefleet.tasks.ebm.noise import ladder
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.mcmc.noise_ladder import smc
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder, Tuning, tune
from scorefleet.tasks.mcmc.streams import Stream

LEVELS, CRUDE = tuple(ladder(25, -5.0).tolist()), tuple(ladder(9, -3.0).tolist())
NUM_POPULATIONS, NUM_PARTICLES = 16, 1024


def constant(logit_beta):
    """What is added to the energy of a level: 7 at the lowest of `LEVELS`, another number at every other."""
    return 7.0 + 0.5 * (logit_beta + 5.0)


def mixture(weights, means, variance):
    """Gaussians under noise, times exp of `constant`: exp f is e^7 p at -5."""
    log_weights, means = torch.tensor(weights).log(), torch.tensor(means)
    variance = torch.as_tensor(variance, dtype=torch.float32)

    def at(logit_beta):
        beta = 1 / (1 + math.exp(-logit_beta))
        noised = (1 - beta) * variance + beta

        def target(x):
            away = x[:, None] - math.sqrt(1 - beta) * means
            parts = log_weights - 0.5 * (away.square() / noised + (2 * math.pi * noised).log()).sum(2)
            return parts.logsumexp(1) + constant(logit_beta), -(parts.softmax(1)[:, :, None] * away / noised).sum(1)

        return target

    return at


CASES = {
    "Gaussian, d = 2": (mixture([1.0], [[0.3, -0.3]], [0.2, 1.8]), 2),
    "Gaussian, d = 8": (mixture([1.0], [[0.2] * 8], torch.linspace(0.2, 1.8, 8)), 8),
    "mixture, d = 2": (mixture([0.8, 0.2], [[-0.5, 0.0], [2.0, 0.3]], 0.1), 2),
    "mixture, d = 16": (mixture([0.8, 0.2], [[-0.5] * 16, [2.0] * 16], 0.1), 16),
}
SMALL = CASES["mixture, d = 2"][0]


def estimates(target_at, dim, levels, num_steps, num_populations, num_particles, temperature=1.0):
    frozen = tune(Stream(0, 0, "tuning"), target_at, levels, dim, Tuning(256, 12, 0.574))
    walked = (smc.walk(Stream(0, k), target_at, frozen, num_steps, num_particles, dim) for k in range(num_populations))
    return [smc.log_z_of(population, temperature) for population in walked]


def test_systematic_resampling_keeps_each_particle_as_often_as_its_weight_says():
    log_weight = torch.tensor([0.7, 0.05, 0.2, 0.05]).double().log()
    rows, after = smc.resample(torch.tensor([0.5]).double(), log_weight)  # the grid is 1/8, 3/8, 5/8, 7/8
    assert rows.tolist() == [0, 0, 0, 2]
    assert after.tolist() == pytest.approx([math.log(0.25)] * 4)


def test_resampled_particles_bring_their_density_and_score_along():
    """One leap from noise, after which few of 64 carry the weight."""
    population = smc.walk(Stream(0, 0), SMALL, Ladder((8.0, -3.0), (0.3,) * 2, (1.0,) * 2), 0, 64, 2)
    value, score = SMALL(-3.0)(population.state.x)
    assert len(population.state.x.unique(dim=0)) < 50
    torch.testing.assert_close(population.state.value, value)
    torch.testing.assert_close(population.state.score, score)


def test_even_weights_are_left_as_they_are():
    log_weight = torch.tensor([0.4, 0.1, 0.3, 0.2]).double().log()  # sample size 3.3 of 4
    rows, after = smc.resample(torch.tensor([0.5]).double(), log_weight)
    assert rows.tolist() == [0, 1, 2, 3]
    assert torch.equal(after, log_weight)


@pytest.mark.parametrize("name", CASES)
def test_log_z_is_within_a_twentieth_of_a_nat(name):
    """The interval is shorter than .05 to each side, and 16 populations leave it by chance in 1 of 10,000 runs; each
    population is as likely above as below, all on one side with probability 2^-15; four cases.
    """
    target_at, dim = CASES[name]
    logs = estimates(target_at, dim, LEVELS, 3, NUM_POPULATIONS, NUM_PARTICLES)
    result = smc.interval(logs, confidence=0.9999)
    assert result.high - result.estimate < 0.05
    assert result.low < 7.0 < result.high
    assert min(logs) < 7.0 < max(logs)


def test_the_normaliser_of_a_heated_density_comes_with_it():
    """`int (e^7 N(x; m, V))^(1/T) = e^(7/T) prod sqrt(T) (2 pi v)^((1 - 1/T)/2)`; an interval of 1 in 10,000."""
    target_at, dim = CASES["Gaussian, d = 2"]
    beta, temperature = 1 / (1 + math.exp(5.0)), 1.2
    variance = (1 - beta) * torch.tensor([0.2, 1.8]) + beta
    parts = 0.5 * math.log(temperature) + 0.5 * (1 - 1 / temperature) * (2 * math.pi * variance).log()
    expected = 7.0 / temperature + float(parts.sum())
    logs = estimates(target_at, dim, LEVELS, 3, NUM_POPULATIONS, NUM_PARTICLES, temperature)
    result = smc.interval(logs, confidence=0.9999)
    assert result.high - result.estimate < 0.1
    assert result.low < expected < result.high


@pytest.fixture(scope="module")
def crude():
    """360 populations of 16 particles on a ladder of 9 levels with one step at each, relative to the true log Z."""
    logs = estimates(SMALL, 2, CRUDE, 1, 360, 16)
    return torch.tensor(logs, dtype=torch.float64) - constant(CRUDE[-1])


def test_the_estimate_of_z_is_unbiased_also_where_it_is_poor(crude):
    """The mean of the estimates is Z within 5 standard errors, 6e-7; the mean of their logs lies below (Jensen)."""
    ratio = crude.exp()
    error = float(ratio.std()) / math.sqrt(len(ratio))
    assert abs(float(ratio.mean()) - 1) < 5 * error < 0.25
    assert float(crude.mean()) < -0.01


def test_intervals_hold_the_truth_as_often_as_they_say(crude):
    """60 intervals of 6 populations each at 80 %: the number that hold 0 lies, for a true 80 %, between the quantiles
    of 1e-6 to either side, 31 and 59; the estimates are skewed, which the lower one must bear.
    """
    found = [smc.interval(part.tolist(), confidence=0.8) for part in crude.reshape(60, 6)]
    num_held = sum(result.low < 0 < result.high for result in found)
    lowest, highest = stats.binom.ppf([1e-6, 1 - 1e-6], 60, 0.8)
    assert lowest <= num_held <= min(highest, 59)


def test_a_population_is_a_function_of_its_stream_alone():
    frozen = Ladder(CRUDE, (0.3,) * 9, (1.0,) * 9)
    again = [smc.walk(Stream(0, k), SMALL, frozen, 1, 64, 2) for k in (3, 4, 3)]
    torch.testing.assert_close(again[0].state.x, again[2].state.x, rtol=0, atol=0)
    assert smc.log_z_of(again[0]) == smc.log_z_of(again[2]) != smc.log_z_of(again[1])


def test_too_few_populations_are_refused():
    with pytest.raises(UsageError, match="at least 4"):
        smc.interval([1.0, 2.0, 3.0])


def test_the_estimate_is_the_log_of_the_mean_of_the_populations():
    """Z of 1 and 3 in turn: the mean is 2, its standard error sqrt(4/3)/2 of it over two, Student's factor 3.182."""
    found = smc.interval([0.0, math.log(3)] * 2)
    assert found.estimate == pytest.approx(math.log(2))
    assert found.high - found.estimate == pytest.approx(3.1824463 * math.sqrt(4 / 3) / 2 / 2)
