"""Exchange on the noise ladder in the product's own program, on a density whose modes change weights with the noise.

An energy that was learned is like that. Chains that come down keep the weights of the level at which the modes part;
chains are independent, so errors are known from their number, and bounds are at 5 standard deviations, 6e-7.
"""

import math

import pytest
import torch
from scipy import stats

from scorefleet.tasks.ebm.noise import ladder
from scorefleet.tasks.mcmc.noise_ladder import annealing, ladder_exchange
from scorefleet.tasks.mcmc.noise_ladder.annealing import Tuning
from scorefleet.tasks.mcmc.noise_ladder.program import Program, first_segment
from scorefleet.tasks.mcmc.streams import Stream

NUM_CHAINS, DIM, WEIGHT, VARIANCE, LOWEST = 2048, 2, 0.2, 0.05, -6.0
MEANS = torch.tensor([[-0.8, 0.0], [1.2, 0.0]])


def target_at(level):
    """Two normals eight standard deviations apart, noised; the right one has the weight .2 at the lowest level and more
    above it: half where the modes part.
    """
    beta = 1 / (1 + math.exp(-level))
    means, variance = math.sqrt(1 - beta) * MEANS, (1 - beta) * VARIANCE + beta
    right = WEIGHT + 0.3 * min(max((level - LOWEST) / 4, 0), 1)
    log_weights = torch.tensor([1 - right, right]).log()

    def target(x):
        away = x[:, None] - means
        parts = log_weights - 0.5 * away.square().sum(2) / variance - 0.5 * DIM * math.log(variance) + level
        return parts.logsumexp(1), -(parts.softmax(1)[:, :, None] * away).sum(1) / variance

    return target


@pytest.fixture(scope="module")
def tuned():
    levels = tuple(ladder(24, LOWEST).tolist())
    found = annealing.tune(Stream(0, 0, "tuning"), target_at, levels, DIM, Tuning(256, 16, 0.574))
    return ladder_exchange.choose_levels(Stream(0, 1, "tuning"), target_at, found, 256, DIM)


def first_draws(tuned, rounds):
    program = Program(2, "draws", tuned, 4, NUM_CHAINS, DIM, 1, 1, 1, rounds)
    return first_segment(program, 0, range(1), target_at, "cpu")


def share(draws):
    return float((draws[:, 0] > 0.2).float().mean())


def test_annealing_keeps_the_weights_of_where_the_modes_part(tuned):
    assert share(first_draws(tuned, 0).draws.position[0]) > WEIGHT + 20 * math.sqrt(0.16 / NUM_CHAINS)


def test_exchange_finds_the_weights_of_the_lowest_level(tuned):
    """After 200 rounds, which are 20 or more round trips a chain; the share has sd .0088. Within the modes the law
    across the line is N(0, v), Kolmogorov-Smirnov at 1e-6.
    """
    made = first_draws(tuned, 200)
    draws = made.draws.position[0]
    assert float(made.chains.replicas.round_trips.float().mean()) > 10
    assert abs(share(draws) - WEIGHT) < 5 * math.sqrt(WEIGHT * (1 - WEIGHT) / NUM_CHAINS)
    beta = 1 / (1 + math.exp(-LOWEST))
    spread = math.sqrt((1 - beta) * VARIANCE + beta)
    assert stats.kstest(draws[:, 1].numpy(), stats.norm(0, spread).cdf).pvalue > 1e-6
