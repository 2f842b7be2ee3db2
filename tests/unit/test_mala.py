import math

import pytest
import torch

from scorefleet.tasks.mcmc.kernels import mala, metropolis
from scorefleet.tasks.mcmc.kernels.metropolis import State
from scorefleet.tasks.mcmc.streams import Stream


def banana(x):
    """An asymmetric target, for which no term of the ratio vanishes."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = -0.5 * x[:, 0] ** 2 - 2 * (x[:, 1] - x[:, 0] ** 2) ** 2 + 0.3 * x.sum(1).sin()
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score


class Counted:
    """A target that counts its evaluations."""

    def __init__(self):
        self.count = 0

    def __call__(self, x):
        self.count += 1
        return banana(x)


@pytest.mark.parametrize("step_size", [0.01, 0.3, 2.0])
def test_acceptance_ratio_equals_the_one_of_torch_distributions_in_float64(step_size):
    torch.manual_seed(0)
    x, y = torch.randn(50, 2, dtype=torch.float64), torch.randn(50, 2, dtype=torch.float64)
    state, proposal = metropolis.init(x, banana), metropolis.init(y, banana)

    def log_q(to, start):
        kernel = torch.distributions.Normal(start.x + step_size / 2 * start.score, math.sqrt(step_size))
        return kernel.log_prob(to.x).sum(1)

    expected = proposal.value + log_q(state, proposal) - state.value - log_q(proposal, state)
    torch.testing.assert_close(mala.log_acceptance_ratio(state, proposal, step_size), expected)


def test_one_step_evaluates_the_target_once_and_caches_what_a_fresh_evaluation_gives():
    target = Counted()
    state = metropolis.init(torch.randn(64, 2), target)
    for k in range(20):
        state, info = mala.step(Stream(0, 0).at(0, k), state, target, 0.5)
    assert target.count == 21
    fresh = metropolis.init(state.x, banana)
    torch.testing.assert_close(state.value, fresh.value, rtol=0, atol=0)
    torch.testing.assert_close(state.score, fresh.score, rtol=0, atol=0)
    assert 0 < info.is_accepted.float().mean() < 1


def test_each_chain_decides_for_itself_and_a_rejected_one_stays_where_it_is():
    state = metropolis.init(torch.zeros(400, 2) + 1.0, banana)
    moved, info = mala.step(Stream(0, 0).at(0, 0), state, banana, 2.0)
    is_still = (moved.x == state.x).all(1)
    assert torch.equal(is_still, ~info.is_accepted)
    assert 0.05 < is_still.float().mean() < 0.95


def test_large_step_size_lowers_acceptance():
    state = metropolis.init(torch.randn(2000, 2), banana)
    rates = [
        mala.step(Stream(0, 0).at(0, 0), state, banana, step)[1].is_accepted.float().mean() for step in (0.01, 0.3, 3.0)
    ]
    assert rates[0] > 0.95 > rates[1] > 0.4 > rates[2]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_density_that_is_not_a_number_is_rejected_and_counted(bad):
    state = State(torch.zeros(2, 1), torch.zeros(2), torch.zeros(2, 1))
    proposal = State(torch.ones(2, 1), torch.tensor([bad, 0.0]), torch.zeros(2, 1))
    log_ratio = mala.log_acceptance_ratio(state, proposal, 1.0)
    chosen, info = metropolis.metropolis(torch.full((2,), 1e-9, dtype=torch.float64), state, proposal, log_ratio)
    assert info.is_accepted.tolist() == [False, True]
    assert chosen.x[:, 0].tolist() == [0.0, 1.0]
    is_out_of_support = bad == -math.inf
    assert info.is_finite.tolist() == [is_out_of_support, True]
    assert metropolis.acceptance_probability(info)[0] == 0


def test_a_score_that_is_not_a_number_is_rejected_and_counted():
    state = State(torch.zeros(1, 1), torch.zeros(1), torch.zeros(1, 1))
    proposal = State(torch.ones(1, 1), torch.ones(1), torch.full((1, 1), math.nan))
    _, info = metropolis.metropolis(torch.full((1,), 0.5), state, proposal, torch.tensor([1.0]))
    assert not info.is_accepted.any()
    assert not info.is_finite.any()
