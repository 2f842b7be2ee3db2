"""Modes that no chain of a warm-up comes across by itself: found, weighed, and held by the draws with their shares."""

import math

import pytest
import torch

from scorefleet.tasks.mcmc import keep
from scorefleet.tasks.mcmc.coordinates.constraints import parse
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.targets import from_log_density
from scorefleet.tasks.mcmc.warmup import warmup

NUM_WARM, NUM_DRAWS = 64, 100


def mixture(dim, *parts):
    """Of (weight, first coordinate of the mean, second, deviation), without its constant."""

    def log_density(x):
        means = torch.zeros(len(parts), dim, dtype=x.dtype)
        means[:, :2] = torch.tensor([part[1:3] for part in parts], dtype=x.dtype)[:, :dim]
        weight, sd = (torch.tensor([part[k] for part in parts], dtype=x.dtype) for k in (0, 3))
        squared = ((x[:, None] - means) / sd[:, None]).square().sum(2)
        return (weight.log() - dim * sd.log() - 0.5 * squared).logsumexp(1)

    return log_density


def warm(log_density, dim, num_probes=0):
    target, stream = from_log_density(log_density), Stream(0, 0, "lost")
    found = warmup.warm_up(stream, target, warmup.cold_start(stream, NUM_WARM, dim))
    return warmup.look_far(stream, found, target, num_probes=num_probes) if num_probes else found


def draws(log_density, found):
    """All draws of 64 chains [draw, chain, dim]."""
    target, stream = from_log_density(log_density), Stream(0, 1, "kept")
    return keep.keep(stream, 0, found.state, target, *found.tuned, NUM_DRAWS).x


def assert_share(x, share):
    """Half of the transitions at least are jumps, and of those half at least are accepted, so that 6,400 draws are
    worth 1,000 independent ones: bound at 5 sd of a share, 6e-7.
    """
    assert abs(float(x.double().mean()) - share) < 5 * math.sqrt(share * (1 - share) / 1000)


@pytest.fixture(scope="module")
def far():
    """Equal modes at distance 40 in 10 dimensions."""
    log_density = mixture(10, (0.5, 0.0, 0.0, 1.0), (0.5, 40.0, 0.0, 1.0))
    return log_density, warm(log_density, 10)


def test_equal_modes_at_distance_40_are_held_by_half_of_the_draws_each(far):
    log_density, found = far
    assert_share(draws(log_density, found)[:, :, 0] > 20, 0.5)


def test_parts_of_z_come_out_of_importance_weights(far):
    """256 weights a mode, whose log has a deviation of .3 or less: the share has an sd of .01; bound at 6 sd."""
    assert far[1].modes.share.tolist() == pytest.approx([0.5, 0.5], abs=0.06)


def test_the_warm_up_leaves_chains_in_both_modes(far):
    """64 chains after 48 jumps: more than 1 in 1e6 has 12 or fewer in one of two halves."""
    assert 12 < int((far[1].state.x[:, 0] > 20).sum()) < 52


def test_a_narrow_mode_among_scattered_points_is_held_by_half_of_the_draws():
    """A hundredth as wide, 8 deviations away in 2 dimensions: of 2^19 points some 10 lie on its slopes, and all are
    missed once in 2e4.
    """
    log_density = mixture(2, (0.5, 0.0, 0.0, 1.0), (0.5, 0.0, 8.0, 0.01))
    found = warm(log_density, 2, 1 << 19)
    assert_share(draws(log_density, found)[:, :, 1] > 4, 0.5)


def test_modes_of_positive_numbers():
    """Log-normal: at 1 and at e^20 of the first of two coordinates."""
    support = parse("positive*2", 2)
    of_logs = mixture(2, (0.7, 0.0, 0.0, 1.0), (0.3, 20.0, 0.0, 0.5))
    free = support.pull(lambda x: of_logs(x.log()) - x.log().sum(1))
    x = draws(free, warm(free, 2))
    assert_share(x[:, :, 0] > 10, 0.3)


def test_one_mode_is_not_taken_for_several():
    """A normal, a Gamma in logarithms, and a normal whose scale is exp of the first: climbs end early in its bend."""

    def log_density(x):
        a, b, s, scaled = x.unbind(1)
        gamma = 3 * s - 2 * s.exp()
        return -0.5 * (a**2 + (b - 0.95 * a) ** 2 / (1 - 0.95**2) + (scaled / a.exp()) ** 2) - a + gamma

    assert len(warm(log_density, 4, 2**17).modes.share) == 1
