"""Replica exchange that knows f at every point, against the one that evaluates each level anew."""

import numpy as np
import pytest
import torch
from scipy import stats

from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS
from scorefleet.tasks.mcmc.noise_ladder import exchange
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.targets import from_log_density
from scorefleet.tasks.mcmc.tempering import target_ladder, tempered_exchange
from scorefleet.tasks.mcmc.tempering.tempered_exchange import Ladder
from scorefleet.tasks.mcmc.tempering.tempering import gaussian, tempered
from scorefleet.tasks.mcmc.warmup.mixture import Mixture

LADDER = Ladder((0.0, 0.05, 0.3, 1.0), (1.0, 2.0, 1.0, 0.7), (2.0, 2.0, 2.0, 1.5), 3.0)
REFERENCE = gaussian(LADDER.scale)
PROGRAM = target_ladder.Program(0, "hmc", 0.7, 1.5, 16, 5, 12, 2, 12, LADDER)


def ring(x):
    return -0.5 * (x.norm(dim=1) - 2).square() / 0.3


TARGET = from_log_density(ring)


class Counted:
    def __init__(self, target=TARGET):
        self.count, self.target = 0, target

    def __call__(self, x):
        self.count += 1
        return self.target(x)


def replicas(num_chains=400):
    """One that has not moved: points of the reference at every level."""
    points = [3 * Stream(1, 0).at(k, 0).normal(num_chains, 2).double() for k in range(4)]
    return points, exchange.start([metropolis.init(x, TARGET) for x in points])


@pytest.mark.parametrize("phase", [0, 1])
def test_swaps_are_those_of_levels_that_are_evaluated_anew(phase):
    points, cold = replicas()
    targets = [tempered(TARGET, REFERENCE)(b) for b in LADDER.levels]
    warm = exchange.start([metropolis.init(x, target) for x, target in zip(points, targets, strict=True)])
    uniform = Stream(2, 0).at(phase, 0).uniform(400, 4)
    expected, expected_rejection = exchange.exchange(uniform, phase, warm, targets)
    swapped, rejection, num_swapped = tempered_exchange.exchange_pairs(uniform, phase, cold, LADDER)
    assert torch.equal(swapped.occupant, expected.occupant)
    assert torch.equal(swapped.leg, expected.leg)
    assert torch.equal(swapped.round_trips, expected.round_trips)
    np.testing.assert_allclose(rejection, expected_rejection, rtol=1e-12)
    assert 20 < num_swapped[phase % 2] < 380
    for one, other in zip(swapped.states, expected.states, strict=True):
        assert torch.equal(one.x, other.x)


@pytest.mark.parametrize("kernel", ["hmc", "mala", "random_walk"])
def test_what_replicas_carry_is_f_and_its_gradient_whatever_the_level(kernel):
    _, moved = replicas(64)
    for r in range(8):
        moved, _ = tempered_exchange.exchange_round(Stream(0, 0), r, moved, TARGET, LADDER, KERNELS[kernel])
    for state in moved.states:
        value, score = TARGET(state.x)
        torch.testing.assert_close(state.value, value, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(state.score, score, rtol=1e-9, atol=1e-9)


def test_chains_that_did_not_move_keep_their_numbers_to_the_bit():
    _, cold = replicas(64)
    state = cold.states[1]
    again = tempered_exchange.cooled(tempered_exchange.heated(state, 0.05, REFERENCE), 0.05, REFERENCE, state)
    assert all(torch.equal(one, other) for one, other in zip(again, state, strict=True))


def test_every_evaluation_is_counted_and_swaps_cost_none():
    target = Counted()
    start = torch.zeros(4, 16, 2, dtype=torch.float64) + 1
    leg = target_ladder.first_leg(PROGRAM, 0, range(12), start, target)
    assert leg.counts["num_evaluations"] == target.count
    mala = target_ladder.Program(0, "mala", 0.7, 1.5, 16, 5, 12, 2, 12, LADDER)
    counts = target_ladder.first_leg(mala, 0, range(12), start, TARGET).counts
    assert counts["num_evaluations"] == 4 + (5 + 2 * 12) * 4  # the start, and one a level and round


def test_a_run_in_three_segments_is_the_run_in_one():
    start = torch.zeros(4, 16, 2, dtype=torch.float64) + 1
    whole = target_ladder.first_leg(PROGRAM, 3, range(12), start, TARGET)
    legs = [target_ladder.first_leg(PROGRAM, 3, range(5), start, TARGET)]
    for draws in (range(5, 10), range(10, 12)):
        kept = {name: torch.from_numpy(value.numpy().copy()) for name, value in legs[-1].state.items()}
        legs.append(target_ladder.next_leg(PROGRAM, 3, draws, kept, TARGET))
    assert torch.equal(torch.cat([leg.position for leg in legs]), whole.position)
    assert all(torch.equal(legs[-1].state[name], value) for name, value in whole.state.items())
    trips = np.sum([leg.counts["round_trips"] for leg in legs], axis=0)
    assert trips.tolist() == whole.counts["round_trips"]


def test_the_first_level_is_drawn_afresh_every_round():
    _, cold = replicas(64)
    first, _ = tempered_exchange.exchange_round(Stream(0, 0), 1, cold, TARGET, LADDER, KERNELS["mala"])
    second, _ = tempered_exchange.exchange_round(Stream(0, 0), 3, first, TARGET, LADDER, KERNELS["mala"])
    assert (first.states[0].x != second.states[0].x).all()  # odd rounds do not swap it


def test_jumps_at_the_last_level_keep_the_density_and_are_counted():
    """4,000 chains that start at the density, N(0, I), and jump from a mixture that is wrong in place and width, six
    rounds: Kolmogorov-Smirnov, 1e-6.
    """
    wrong = Mixture(torch.zeros(1).double(), torch.ones(1, 2).double(), 1.5 * torch.eye(2)[None].double())
    normal = Counted(from_log_density(lambda x: -0.5 * x.square().sum(1)))
    points = [Stream(1, 0).at(k, 0).normal(4000, 2).double() for k in range(4)]
    moved, num_jumped = exchange.start([metropolis.init(x, normal) for x in points]), 0
    for phase in range(6):
        before = normal.count
        moved, done = tempered_exchange.exchange_round(
            Stream(4, 0), phase, moved, normal, LADDER, KERNELS["mala"], Jumps(wrong, 0.5)
        )
        assert normal.count - before == done.num_evaluations
        num_jumped += int(done.has_jumped.sum())
    assert 0.2 < num_jumped / 24_000 < 0.9
    assert stats.kstest(moved.states[-1].x[:, 0].numpy(), "norm").pvalue > 1e-6
