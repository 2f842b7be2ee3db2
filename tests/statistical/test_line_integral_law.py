"""Chains that are tested by line integrals keep the law of a conservative field up to the error of the rule.

Coupled with exact chains by the same random numbers, they part in a step with probability `E|a - a*|` at most, `a*` the
exact acceptance and `a` that of the rule, over a stationary state and its proposal. So after k steps from exact draws
no probability differs by more than k times that, nor does the Kolmogorov-Smirnov distance of a coordinate's law; that
of n draws from their own law is below sqrt(ln(2/p)/(2n)) but for probability p (Dvoretzky, Kiefer, Wolfowitz and
Massart), here .02 for p = 1e-6/4 and 20,000 chains.
"""

import math

import pytest
import torch
from scipy import stats

from scorefleet.tasks.mcmc.kernels import line_integral, mala, metropolis
from scorefleet.tasks.mcmc.kernels.line_integral import GAUSS_LEGENDRE_3, SIMPSON, TRAPEZOID
from scorefleet.tasks.mcmc.streams import Stream
from tests.statistical.test_laws import CDFS, FALSE_ALARM_RATE, NUM_CHAINS, exact, target

STEP_SIZE, NUM_STEPS = 1.1, 10


def score_only(x):
    """The same target without a value."""
    score = target(x)[1]
    return torch.full_like(score[:, 0], math.nan), score


def acceptance_error(rule):
    """Five standard errors above the mean of `|a - a*|` over 20,000 independent pairs (false alarm 3e-7)."""
    state = metropolis.init(exact(7, NUM_CHAINS), target)
    y = mala.propose(Stream(8, 0).at(0, 0).normal(NUM_CHAINS, 4).double(), state, STEP_SIZE)
    proposal = metropolis.init(y, target)
    integral = line_integral.log_density_difference(score_only, state, proposal, rule)
    guessed = state._replace(value=torch.zeros_like(integral)), proposal._replace(value=integral)
    ratios = (mala.log_acceptance_ratio(*pair, STEP_SIZE) for pair in (guessed, (state, proposal)))
    first, second = (ratio.clamp(max=0).exp() for ratio in ratios)
    error = (first - second).abs()
    return float(error.mean() + 5 * error.std() / math.sqrt(NUM_CHAINS))


def distances(rule):
    """Kolmogorov-Smirnov distances of the coordinates after the steps, and the acceptance."""
    state, accepted = metropolis.init(exact(9, NUM_CHAINS), score_only), 0.0
    for k in range(NUM_STEPS):
        state, info = line_integral.step(Stream(10, 0).at(0, k), state, score_only, STEP_SIZE, rule)
        accepted += float(info.is_accepted.double().mean()) / NUM_STEPS
    return max(stats.kstest(state.x[:, k].numpy(), cdf).statistic for k, cdf in enumerate(CDFS)), accepted


@pytest.mark.parametrize(("rule", "most"), [(SIMPSON, 0.0075), (GAUSS_LEGENDRE_3, 0.0025)], ids=["simpson", "gauss"])
def test_chains_on_a_conservative_field_keep_its_law_up_to_the_error_of_the_rule(rule, most):
    error, (distance, acceptance) = acceptance_error(rule), distances(rule)
    assert error < most
    assert distance < NUM_STEPS * error + math.sqrt(math.log(2 * len(CDFS) / FALSE_ALARM_RATE) / (2 * NUM_CHAINS))
    assert 0.5 < acceptance < 0.7


def test_chains_that_are_tested_by_the_trapezoid_do_not():
    """They forget how much the modes weigh: the bounds of either rule are far below."""
    assert distances(TRAPEZOID)[0] > 0.1
