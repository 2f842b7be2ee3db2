"""Hamiltonian chains against a law that is known exactly; false-alarm rates are stated with each bound."""

import torch
from scipy import stats

from scorefleet.tasks.mcmc import keep
from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening
from scorefleet.tasks.mcmc.kernels import hmc, metropolis
from scorefleet.tasks.mcmc.streams import Stream

SHAPE = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.8, 0.6, 0.0, 0.0], [0.0, 0.5, 1.2, 0.0], [0.3, 0.0, -0.4, 0.7]]).double()


def to_normal(x):
    """A triangular map with unit Jacobian up to a constant that makes the target N(0, I): a bent Gaussian."""
    z = torch.linalg.solve(SHAPE, x.T).T
    return torch.cat([z[:, :3], z[:, 3:] - 0.5 * z[:, :1].square()], 1)


def exact(num_rows, random):
    z = random.normal(num_rows, 4).double()
    return torch.cat([z[:, :3], z[:, 3:] + 0.5 * z[:, :1].square()], 1) @ SHAPE.T


def target(x):
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = -0.5 * to_normal(x).square().sum(1)
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score


def test_chains_that_start_at_the_target_stay_there_under_jittered_steps():
    """20,000 exact draws, 10 trajectories at acceptance .4-.9, every axis of the normal coordinates by one-sample
    Kolmogorov-Smirnov at 1e-6 each, 4e-6 together.
    """
    state = metropolis.init(exact(20_000, Stream(3, 0).at(0, 0)), target)
    for k in range(10):
        sizes = 0.3 + 0.5 * Stream(3, 1).at(1, k).uniform(20_000, 1)
        state, info = hmc.step(Stream(3, 1).at(0, k), state, target, sizes, 3)
    assert 0.4 < float(info.is_accepted.double().mean()) < 0.9
    for axis in to_normal(state.x).T:
        assert stats.kstest(axis.numpy(), "norm").pvalue > 1e-6


def test_kept_draws_of_a_wrong_metric_keep_the_target():
    """20,000 exact draws, 5 transitions with a metric that is not the target's; the same bounds, 4e-6 together."""
    state = metropolis.init(exact(20_000, Stream(4, 0).at(0, 0)), target)
    whitening = Whitening(torch.ones(4).double(), SHAPE + 0.3)
    kept = keep.keep(Stream(4, 1), 0, state, target, Coordinates(whitening), 0.4, 1.5, None, 5)
    assert 0.3 < float(kept.acceptance.mean()) < 0.95
    for axis in to_normal(kept.state.x).T:
        assert stats.kstest(axis.numpy(), "norm").pvalue > 1e-6
