import pytest
import torch

from tasks.mcmc import keep, warmup
from tasks.mcmc.streams import Stream

FACTOR = torch.tensor([[1.0, 0.0, 0.0], [30.0, 1.0, 0.0], [0.0, 5.0, 10.0]], dtype=torch.float64)
PRECISION = torch.linalg.inv(FACTOR @ FACTOR.T)


class Counted:
    """A Gaussian of condition 1e5 about 3 that counts its evaluations."""

    def __init__(self):
        self.count = 0

    def __call__(self, x):
        self.count += 1
        away = x - 3
        return -0.5 * ((away @ PRECISION) * away).sum(1), -away @ PRECISION


@pytest.fixture(scope="module")
def warm():
    target, stream = Counted(), Stream(0, 0, "warm-up")
    result = warmup.warm_up(stream, target, warmup.cold_start(stream, 64, 3))
    return result, target.count


def test_warm_up_counts_every_gradient(warm):
    result, count = warm
    assert result.num_gradients == count < 900


def test_warm_up_whitens_a_gaussian_from_a_cold_start(warm):
    """64 chains, some 20 draws each in the last window: an error of the covariance of .1 or so, bound at .5."""
    white = torch.linalg.solve(warm[0].tuned.coordinates.whitening.factor, FACTOR)
    assert float((white @ white.T - torch.eye(3)).abs().max()) < 0.5


def test_warm_up_is_a_function_of_its_stream(warm):
    stream = Stream(0, 0, "warm-up")
    again = warmup.warm_up(stream, Counted(), warmup.cold_start(stream, 64, 3))
    assert torch.equal(again.state.x, warm[0].state.x)
    assert again.tuned.step_size == warm[0].tuned.step_size


def run(warm, num_draws):
    target = Counted()
    return keep.keep(Stream(0, 1), 0, warm.state, target, *warm.tuned, num_draws), target.count


def test_kept_draws_are_a_function_of_stream_phase_and_state_and_cost_what_they_say(warm):
    (kept, count), (again, _) = run(warm[0], 20), run(warm[0], 20)
    assert kept.num_gradients == count
    assert torch.equal(kept.x, again.x)
    torch.testing.assert_close(kept.score, -(kept.x - 3) @ PRECISION)
    assert 0.5 < float(kept.acceptance.mean()) < 0.95


def test_steps_are_jittered_for_a_fifth_of_the_chains():
    """100,000 chains: the share has sd .00126; bound at 5 sd. Log-uniform on (.05, 1): the mean of ln c is ln(.05)/2,
    its sd .865 over sqrt(20,000); bound at 5 sd.
    """
    factor = keep.jitter(Stream(0, 0).at(0, 0), 100_000)[:, 0]
    short = factor[factor < 1]
    assert abs(len(short) / 100_000 - 0.2) < 0.0064
    assert float(short.min()) >= 0.05
    assert abs(float(short.log().mean()) + 1.498) < 0.031
