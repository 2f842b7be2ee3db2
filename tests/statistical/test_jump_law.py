"""Chains that jump against a law that is known exactly; false-alarm rates are stated with each bound.

The target is .5 N(0, 1) + .5 N(6, .5^2) in its first coordinate, and a parabola of it besides; what chains jump from is
wrong in weight, place and width, so that only the ratio makes it right.
"""

import pytest
import torch
from scipy import stats

from scorefleet.tasks.mcmc import keep
from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening
from scorefleet.tasks.mcmc.coordinates.triangular import Triangular
from scorefleet.tasks.mcmc.kernels import jump, metropolis
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import mixture

NUM_CHAINS = 20_000
WRONG = mixture.Mixture(
    torch.tensor([0.8, 0.2]).double().log(),
    torch.tensor([[0.5, 0.0], [5.5, 0.5]]).double(),
    torch.tensor([[[1.2, 0.0], [0.1, 1.1]], [[0.9, 0.0], [0.0, 1.3]]]).double(),
)

WRONG_WHITE = WRONG._replace(mean=torch.tensor([[-1.0, -1.0], [1.1, 1.0]]).double(), factor=0.7 * WRONG.factor)


def exact(random):
    is_far = random.uniform(NUM_CHAINS) < 0.5
    z = random.normal(NUM_CHAINS, 2).double()
    first = torch.where(is_far, 6 + 0.5 * z[:, 0], z[:, 0])
    return torch.stack([first, z[:, 1] + 0.1 * first.square()], 1)


def target(x):
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        near, far = -0.5 * x[:, 0].square(), -2 * (x[:, 0] - 6).square() + torch.tensor(2.0).double().log()
        value = torch.logaddexp(near, far) - 0.5 * (x[:, 1] - 0.1 * x[:, 0].square()).square()
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score


def assert_exact(x):
    """Kolmogorov-Smirnov of both coordinates, 1e-6 each."""
    law = lambda a: 0.5 * stats.norm.cdf(a) + 0.5 * stats.norm.cdf(a, 6, 0.5)  # noqa: E731
    assert stats.kstest(x[:, 0].numpy(), law).pvalue > 1e-6
    assert stats.kstest((x[:, 1] - 0.1 * x[:, 0].square()).numpy(), "norm").pvalue > 1e-6


def test_chains_that_start_at_the_target_stay_there_whatever_they_jump_from():
    """20,000 exact draws, 10 jumps at acceptance .3-.8; 2e-6 in all."""
    state = metropolis.init(exact(Stream(0, 0).at(0, 0)), target)
    for k in range(10):
        state, info = jump.step(Stream(0, 1).at(0, k), state, target, WRONG)
    assert 0.3 < float(info.is_accepted.double().mean()) < 0.8
    assert_exact(state.x)


def test_the_log_ratio_of_a_jump_is_that_of_torch_distributions():
    state = metropolis.init(exact(Stream(0, 0).at(0, 0))[:200], target)
    y = WRONG.draw(Stream(0, 2).at(0, 0), 200)
    _, info = jump.step(Stream(0, 2).at(0, 0), state, target, WRONG)
    of_each = torch.distributions.MultivariateNormal(WRONG.mean, scale_tril=WRONG.factor)
    q = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(WRONG.log_weight.exp()), of_each)
    expected = target(y)[0] - state.value + q.log_prob(state.x) - q.log_prob(y)
    torch.testing.assert_close(info.log_ratio, expected)
    assert torch.equal(info.is_accepted, Stream(0, 2).at(0, 0).uniform(2, 200)[0].log() < expected)


@pytest.fixture(scope="module")
def bent():
    """Coordinates that are bent and skewed, and not as the target is."""
    zero = torch.zeros(2, 2).double()
    square, slope = zero.clone(), zero.clone()
    square[1, 0], slope[1, 0] = 0.15, 0.1
    mean, skew = torch.tensor([3.0, 0.0]).double(), torch.tensor([0.2, -0.3]).double()
    bend = Triangular(mean, torch.eye(2).double(), zero[0], slope, torch.diag_embed(square), zero[0])
    skewed = Triangular(zero[0], torch.eye(2).double(), zero[0], -slope, torch.diag_embed(-square), skew)
    affine = Whitening(torch.zeros(2).double(), torch.tensor([[2.5, 0.0], [0.3, 1.1]]).double())
    return Coordinates(affine, bend, skewed)


def test_kept_draws_in_bent_coordinates_with_jumps_keep_the_target(bent):
    """20,000 exact draws, 8 transitions of both kinds; 2e-6 in all."""
    state = metropolis.init(exact(Stream(1, 0).at(0, 0)), target)
    kept = keep.keep(Stream(1, 1), 0, state, target, bent, 0.4, 1.0, Jumps(WRONG_WHITE, 0.5), 8)
    assert 8 < kept.num_gradients < 8 * 5
    assert 0.3 < float(kept.acceptance.mean()) < 0.9
    assert_exact(kept.state.x)
    fresh = metropolis.init(kept.state.x, target)
    torch.testing.assert_close(kept.state.value, fresh.value)
    torch.testing.assert_close(kept.state.score, fresh.score)


def test_whether_to_jump_does_not_depend_on_where_the_chains_are():
    """1,000 transitions: the share of jumps has sd .0145; bound at 5 sd, 6e-7."""
    share = sum(keep.is_jump(Stream(2, 0), 3, k, Jumps(WRONG, 0.3)) for k in range(1000)) / 1000
    assert abs(share - 0.3) < 0.0725
