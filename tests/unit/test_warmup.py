import pytest
import torch

from scorefleet.tasks.mcmc import keep
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import warmup

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
    assert float(kept.acceptance.mean()) > 0.9


def test_every_kept_draw_is_made_with_what_was_frozen(warm):
    """Each draw again, from the one before it, with the same numbers and the frozen step size."""
    (kept, _), tuned, stream = run(warm[0], 12), warm[0].tuned, Stream(0, 1)
    white, pulled = tuned.coordinates.pull_state(warm[0].state), tuned.coordinates.pull(Counted())
    for k in range(12):
        white, _, _ = keep.transition(stream, 0, k, white, pulled, tuned.step_size, tuned.length, tuned.jumps)
        torch.testing.assert_close(kept.x[k], tuned.coordinates.push_state(white).x)


def test_many_dimensions_get_a_diagonal_metric_that_keeps_the_law():
    """510 variances from 1 to 100. One draw a chain: 32 squares in each of 510 coordinates, whose mean strays by
    sqrt(2/16,320) = .0111 where chains are independent and mix; bound at 6 sd with a third of it effective.
    """
    scales, stream = torch.logspace(0, 1, 510, dtype=torch.float64), Stream(0, 0, "many")

    def many(x):
        return -0.5 * (x / scales).square().sum(1), -x / scales.square()

    warm = warmup.warm_up(stream, many, warmup.cold_start(stream, 32, 510))
    assert warm.tuned.coordinates.whitening.is_diagonal
    assert warm.tuned.jumps is None
    kept = keep.keep(stream, 100, warm.state, many, *warm.tuned, 30)
    assert abs(float((kept.x[-1] / scales).square().mean()) - 1) < 6 * 0.0111 * 3**0.5


def two_modes(x):
    """.7 N(0, I) + .3 N((11, 0), I)."""
    away = x[:, None] - torch.tensor([[0.0, 0.0], [11.0, 0.0]]).double()
    parts = torch.tensor([0.7, 0.3]).double().log() - 0.5 * away.square().sum(2)
    return parts.logsumexp(1), -(parts.softmax(1)[:, :, None] * away).sum(1)


def test_modes_far_from_the_start_are_found_and_weighed():
    """Eleven deviations apart no trajectory crosses, and the start is near one mode. 64 chains of 200 draws, jumps
    accepted more often than 2 in 3: at least 64 * 200 / 8 effective draws, so the share has an sd of .0115 at most;
    bound at 5 sd, 6e-7.
    """
    stream = Stream(1, 0, "modes")
    warm = warmup.warm_up(stream, two_modes, warmup.cold_start(stream, 64, 2))
    kept = keep.keep(stream, 100, warm.state, two_modes, *warm.tuned, 200)
    assert warm.tuned.jumps is not None
    assert float(kept.acceptance.mean()) > 0.67
    assert abs(float((kept.x[:, :, 0] > 5.5).double().mean()) - 0.3) < 0.0575


def funnel(x):
    """`v ~ N(0, 3)` and five coordinates `N(0, exp(v/2))`."""
    v, rest = x[:, 0], x[:, 1:]
    squared = rest.square().sum(1) * (-v).exp()
    score = torch.cat([(-v / 9 - 2.5 + 0.5 * squared)[:, None], -rest * (-v).exp()[:, None]], 1)
    return -v.square() / 18 - 2.5 * v - 0.5 * squared, score


def test_a_funnel_is_bent_straight_and_its_neck_and_mouth_are_visited():
    """64 chains of 200 draws with an autocorrelation time of some 6 draws: 2,000 effective ones; the mean of v in units
    of its sd strays .022, its share below -3.84 (one in ten) .0067; bounds at 5 sd and more.
    """
    stream = Stream(0, 0, "funnel")
    warm = warmup.warm_up(stream, funnel, warmup.cold_start(stream, 64, 6))
    v = keep.keep(stream, 100, warm.state, funnel, *warm.tuned, 200).x[:, :, 0] / 3
    assert warm.tuned.coordinates.bend is not None
    assert abs(float(v.mean())) < 0.11
    for share in ((v < -1.2816).double().mean(), (v > 1.2816).double().mean()):
        assert abs(float(share) - 0.1) < 0.035


def test_steps_are_jittered_for_a_fifth_of_the_chains():
    """100,000 chains: the share has sd .00126; bound at 5 sd. Log-uniform on (.05, 1): the mean of ln c is ln(.05)/2,
    its sd .865 over sqrt(20,000); bound at 5 sd.
    """
    factor = keep.jitter(Stream(0, 0).at(0, 0), 100_000)[:, 0]
    short = factor[factor < 1]
    assert abs(len(short) / 100_000 - 0.2) < 0.0064
    assert float(short.min()) >= 0.05
    assert abs(float(short.log().mean()) + 1.498) < 0.031
