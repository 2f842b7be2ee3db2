"""What is no number far outside the mass is told from what is no number inside it."""

import math
from functools import partial

import pytest
import torch

from scorefleet.tasks.mcmc.kernels import hmc, metropolis, random_walk
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.targets import from_log_density
from scorefleet.tasks.mcmc.warmup import overflow

FAR = 1e4


def normal_with_overflow(x):
    """N(0, I), NaN where a user's `inf - inf` would be."""
    return torch.where(x.abs().amax(1) > FAR, math.nan, -0.5 * x.square().sum(1))


def normal_with_a_hole(x):
    return torch.where(x[:, 0] > 1, math.nan, -0.5 * x.square().sum(1))


def edge_that_falls(x):
    """Gamma(3), NaN below 0, where it is the log of 0."""
    return (2 * x.log() - x).sum(1)


def improper(x):
    """Level all the way to where numbers end."""
    return torch.where(x[:, 0].abs() > FAR, math.nan, 0 * x.sum(1)) - 0.5 * x[:, 1:].square().sum(1)


def lost(log_density, step_size, kernel="walk"):
    """Of 64 chains at 1 that step once."""
    target, stream = from_log_density(log_density), Stream(0, 0)
    state = metropolis.init(torch.ones(64, 2, dtype=torch.float64) * 0.9, target)

    def again(at):
        if kernel == "walk":
            return random_walk.step(stream.at(0, 0), state, at, step_size)
        return hmc.step(stream.at(0, 0), state, at, step_size, 5)

    _, info = again(target)
    return overflow.sort_out(info, state, target, again), int((~info.is_finite).sum())


@pytest.mark.parametrize("kernel", ["walk", "trajectory"])
def test_an_overflow_far_outside_is_counted_apart(kernel):
    step_size = 1e9 if kernel == "walk" else 2e4
    (num_nonfinite, num_overflowed), num_lost = lost(normal_with_overflow, step_size, kernel)
    assert num_nonfinite == 0
    assert num_overflowed == num_lost
    assert num_lost > 30 or kernel == "trajectory"  # a trajectory that falls by 1,000 nats is no longer lost


@pytest.mark.parametrize("kernel", ["walk", "trajectory"])
@pytest.mark.parametrize("log_density", [normal_with_a_hole, edge_that_falls])
def test_what_is_undefined_close_to_the_mass_is_at_fault(log_density, kernel):
    (num_nonfinite, num_overflowed), num_lost = lost(log_density, 1.0, kernel)
    assert num_nonfinite == num_lost > 5
    assert num_overflowed == 0


def test_an_improper_density_is_at_fault_however_far_out():
    level = from_log_density(improper)
    state = metropolis.init(torch.zeros(64, 2, dtype=torch.float64), level)

    def again(at):
        y = state.x + torch.tensor([1e5, 0.0])
        proposal = metropolis.State(y, *at(y))
        return metropolis.metropolis(torch.full((64,), 0.5), state, proposal, proposal.value - state.value)

    _, info = again(level)
    assert overflow.sort_out(info, state, level, again) == (64, 0)


def test_nothing_is_evaluated_again_where_all_is_finite():
    target = from_log_density(lambda x: -0.5 * x.square().sum(1))
    state = metropolis.init(torch.zeros(4, 2, dtype=torch.float64), target)
    step = partial(random_walk.step, Stream(0, 0).at(0, 0), state, step_size=1.0)
    _, info = step(target)

    def never(_):
        raise AssertionError("repeated")

    assert overflow.sort_out(info, state, target, never) == (0, 0)
