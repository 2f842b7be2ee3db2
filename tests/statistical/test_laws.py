"""Chains that start exactly at a target must stay at its law, whatever the kernel.

The target is a product of a normal, a bimodal, a wider normal and a logistic density in four dimensions. 20,000 chains
start from exact draws and take k steps at an acceptance between .5 and .7, where wrong ratios show most. The law of
every coordinate, and of the log density, which knows how the coordinates go together, is then compared with the exact
one by Kolmogorov-Smirnov. A kernel is refused when one of its five p-values is below 1e-6/5 (Bonferroni), so a right
kernel fails once in a million; at this level 20,000 chains show a distance of .02 or more.
"""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from scorefleet.tasks.mcmc.kernels import gibbs, langevin, lecture_mala, mala, metropolis, random_walk
from scorefleet.tasks.mcmc.streams import Stream

NUM_CHAINS, FALSE_ALARM_RATE = 20_000, 1e-6
SPREAD = 1.5
MODES, WEIGHTS, WIDTH = (-1.5, 1.5), (0.7, 0.3), 0.6


def bimodal_cdf(x):
    return sum(w * stats.norm.cdf(x, mode, WIDTH) for w, mode in zip(WEIGHTS, MODES, strict=True))


CDFS = (stats.norm.cdf, bimodal_cdf, stats.norm(scale=SPREAD).cdf, stats.logistic.cdf)


def target(x):
    """Log density and score of the product, in closed form."""
    normal, bimodal, wide, logistic = x.unbind(1)
    modes, weights = torch.tensor(MODES).to(x), torch.tensor(WEIGHTS).to(x)
    away = bimodal[:, None] - modes
    parts = weights.log() - 0.5 * (away / WIDTH).square()
    value = -0.5 * normal.square() + parts.logsumexp(1) - 0.5 * (wide / SPREAD).square()
    value = value + 2 * torch.nn.functional.logsigmoid(logistic) - logistic
    bimodal_score = (parts.softmax(1) * -away).sum(1) / WIDTH**2
    return value, torch.stack([-normal, bimodal_score, -wide / SPREAD**2, -torch.tanh(logistic / 2)], 1)


def exact(seed, num_rows):
    random = Stream(seed, 0, "exact").at(0, 0)
    x, u = random.normal(num_rows, 4).double(), random.uniform(num_rows, 2).clamp(1e-12, 1 - 1e-12)
    modes = torch.where(u[:, 0] < WEIGHTS[0], MODES[0], MODES[1])
    x[:, 1] = modes + WIDTH * x[:, 1]
    x[:, 2] *= SPREAD
    x[:, 3] = torch.logit(u[:, 1])
    return x


def p_values(x):
    """Of the law of each coordinate, and of the log density against that of 200,000 exact draws."""
    values = [target(rows)[0].numpy() for rows in (x, exact(99, 200_000))]
    coordinates = [stats.kstest(x[:, axis].numpy(), cdf).pvalue for axis, cdf in enumerate(CDFS)]
    return np.array([*coordinates, stats.ks_2samp(*values).pvalue])


def walk(kernel, step_size, num_steps, x):
    """Chains from `x`, and the share of proposals that they accepted."""
    state, rates = metropolis.init(x, target), []
    for k in range(num_steps):
        state, info = kernel.step(Stream(0, 0).at(0, k), state, target, step_size)
        rates.append(info.is_accepted.double().mean())
    return state, float(torch.stack(rates).mean())


def test_the_target_is_the_density_of_its_exact_draws():
    """The score by finite differences, the draws by their laws."""
    x = exact(1, 50)
    for axis in range(4):
        h = 1e-6 * torch.eye(4, dtype=torch.float64)[axis]
        difference = (target(x + h)[0] - target(x - h)[0]) / 2e-6
        torch.testing.assert_close(target(x)[1][:, axis], difference, rtol=1e-6, atol=1e-6)
    assert p_values(exact(2, NUM_CHAINS)).min() > FALSE_ALARM_RATE / 5


@pytest.mark.parametrize("is_sized_by_chain", [False, True])
@pytest.mark.parametrize(
    ("kernel", "step_size", "num_steps"),
    [(mala, 1.1, 10), (lecture_mala, 0.65, 10), (random_walk, 0.3, 10), (gibbs, 2.5, 40)],
    ids=["mala", "lecture_mala", "random_walk", "gibbs"],
)
def test_chains_that_start_at_the_target_stay_there(kernel, step_size, num_steps, is_sized_by_chain):
    x = exact(3, NUM_CHAINS)
    sizes = step_size * torch.linspace(0.5, 1.5, NUM_CHAINS, dtype=x.dtype)[:, None]
    state, acceptance = walk(kernel, sizes if is_sized_by_chain else step_size, num_steps, x)
    assert p_values(state.x).min() > FALSE_ALARM_RATE / 5
    assert 0.5 < acceptance < 0.7


def test_unadjusted_langevin_leaves_the_target_and_keeps_the_law_it_has():
    """On N(0, 1) its stationary variance is 1/(1 - eta/4), so for it the test above must fail."""
    eta, num_steps = 0.9, 10
    assert p_values(walk(langevin, eta, num_steps, exact(4, NUM_CHAINS))[0].x).min() < FALSE_ALARM_RATE / 5

    def normal(x):
        return -0.5 * x.square().sum(1), -x

    deviation = 1 / math.sqrt(1 - eta / 4)
    state = metropolis.init(deviation * Stream(5, 0).at(0, 0).normal(NUM_CHAINS, 1).double(), normal)
    for k in range(num_steps):
        state, _ = langevin.step(Stream(6, 0).at(0, k), state, normal, eta)
    assert stats.kstest(state.x[:, 0].numpy(), stats.norm(scale=deviation).cdf).pvalue > FALSE_ALARM_RATE
