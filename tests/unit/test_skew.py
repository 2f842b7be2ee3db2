import pytest
import torch

from scorefleet.tasks.mcmc.coordinates import metric, skew
from scorefleet.tasks.mcmc.coordinates.preconditioning import identity
from scorefleet.tasks.mcmc.kernels.metropolis import State
from scorefleet.tasks.mcmc.streams import Stream

NUM_DRAWS, NUM_CHAINS, DIM = 40, 64, 5


def normal(step, *shape):
    return Stream(0, 0).at(0, step).normal(*shape).double()


def white_rows():
    z = normal(0, NUM_DRAWS * NUM_CHAINS, DIM)
    return State(z, -0.5 * z.square().sum(1), -z)


def log_gamma_rows():
    """Independent logarithms of Gamma(24) variables, turned: skew -.2 along axes that are no coordinates; and the
    scores of their density.
    """
    turn = torch.linalg.qr(normal(1, DIM, DIM))[0]
    u = normal(2, NUM_DRAWS * NUM_CHAINS, DIM, 48).square().sum(2).mul(0.5).log()
    return u @ turn.T, (24 - u.exp()) @ turn.T


def shaped(rows):
    return rows.view(NUM_DRAWS, NUM_CHAINS, DIM)


def test_the_third_order_is_found_from_scores_without_noise():
    """`s = b - A w + T[w, w]/2` to the last digit."""
    third = normal(3, DIM, DIM, DIM)
    third = torch.stack([third.permute(p) for p in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))])
    third, w = third.mean(0), normal(4, 200, DIM)
    score = 0.3 - w @ normal(5, DIM, DIM) + 0.5 * torch.einsum("ijk,nj,nk->ni", third, w, w)
    torch.testing.assert_close(skew.third_order(w, score), third, rtol=0, atol=1e-6)


def test_a_skewed_density_in_any_axes_is_made_normal():
    """The Fisher divergence from a normal, which the map is chosen by, falls from .1 to a fifth or less. The third
    moments, whose squares are .21 in all, have an error of sqrt(6/2,560) = .048 each: 37 times its square, which is
    .087, is passed once in 1e6 by five of them.
    """
    x, score = log_gamma_rows()
    fitted = skew.fit(metric.learn(identity(DIM), x, score), shaped(x), shaped(score))
    assert fitted is not None
    straight = fitted.pull_state(State(x, x[:, 0], score))
    before, after = skew.divergence(identity(DIM), x, score), skew.divergence(identity(DIM), straight.x, straight.score)
    assert after < 0.2 * before
    z = (straight.x - straight.x.mean(0)) / straight.x.std(0)
    assert float(z.pow(3).mean(0).square().sum()) < 0.087


def test_a_normal_density_is_left_alone():
    """Its scores are linear, whatever the draws: nothing is left to straighten, without a false alarm."""
    state, factor = white_rows(), torch.eye(DIM).double() + 0.3 * normal(6, DIM, DIM)
    x, score = state.x @ factor.T, torch.linalg.solve(factor.T, state.score.T).T
    assert skew.fit(metric.learn(identity(DIM), x, score), shaped(x), shaped(score)) is None


def test_too_few_draws_ask_for_nothing():
    x, score = log_gamma_rows()
    assert skew.fit(identity(DIM), shaped(x)[:1, :40], shaped(score)[:1, :40]) is None


@pytest.mark.parametrize("scale", [0.0, 1e160, 1e300])
def test_draws_whose_third_order_cannot_be_computed_have_no_skew(scale):
    x = scale * white_rows().x.view(NUM_DRAWS, NUM_CHAINS, DIM)
    assert skew.fit(identity(DIM), x, -x) is None
    assert skew.fit(identity(DIM), x, torch.zeros_like(x)) is None
