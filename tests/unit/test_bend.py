import math

import torch

from tasks.mcmc import bend, metropolis
from tasks.mcmc.coordinates import Coordinates
from tasks.mcmc.preconditioning import Whitening
from tasks.mcmc.streams import Stream

NUM_DRAWS, NUM_CHAINS = 50, 64
ORDER = [2, 0, 3, 1]


def normal(step=0):
    return Stream(0, 0).at(0, step).normal(NUM_DRAWS * NUM_CHAINS, 4).double()


def bent_rows():
    """A funnel whose mouth is the third coordinate, with a linear and a square dependence besides."""
    z = normal()
    v = 2 * z[:, 0]
    a = (v / 2).exp() * z[:, 1]
    b = 0.5 * a + 0.7 * z[:, 0].square() + (v / 2).exp() * z[:, 2]
    c = 3 * v + z[:, 3]
    return torch.stack([a, c, v, b], 1)


def learned(rows=None):
    rows = bent_rows() if rows is None else rows
    return bend.fit(rows.view(NUM_DRAWS, NUM_CHAINS, 4))


def log_density(x):
    return -0.5 * x.square().sum(1) + x[:, 0].sin() * x[:, 1]


def target(x):
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = log_density(x)
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score


def test_a_funnel_and_a_square_are_straightened():
    """3,200 independent rows: correlations of the straight coordinates, of their squares and of their log sizes with
    the first have sd .018; bound at 5 sd. The slopes are 1 in units of the first, with an error of some
    1/sqrt(2*3200) = .013; bound at .1, for the clipped squares cost a little.
    """
    fitted = learned()
    assert int(fitted.order[0]) == 2
    z = fitted.to_straight(bent_rows())
    first = z[:, 0]
    for other in z[:, 1:].T:
        for made in (other, other.square(), (other.abs() + 1e-3).log()):
            for of_first in (first, first.square()):
                assert abs(float(torch.corrcoef(torch.stack([of_first, made]))[0, 1])) < 0.09
    is_scaled = (fitted.order == 0) | (fitted.order == 3)
    torch.testing.assert_close(fitted.slope[is_scaled, 0], torch.ones(2).double(), rtol=0, atol=0.1)


def test_the_order_puts_first_what_others_depend_on_wherever_it_stands():
    rows = bent_rows()
    for column in range(4):
        order = torch.arange(4).tolist()
        order[column], order[2] = order[2], order[column]
        assert int(bend.ordering(rows[:, order])[0]) == column


def test_a_gaussian_is_not_bent():
    """12 means and slopes in the screen, each a t statistic beyond 4 with probability 1.7e-4 at 63 degrees of freedom:
    a false alarm of .002 a set of draws."""
    assert learned(normal(1) @ normal(2)[:4]) is None


def test_straight_coordinates_are_there_and_back():
    fitted, rows = learned(), bent_rows()
    x, log_det = fitted.from_straight(fitted.to_straight(rows))
    torch.testing.assert_close(x, rows)
    jacobian = torch.autograd.functional.jacobian(
        lambda z: fitted.from_straight(z)[0].sum(0), fitted.to_straight(rows[:20])
    ).permute(1, 0, 2)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det[:20])
    torch.testing.assert_close(jacobian[:, fitted.order], fitted.jacobian(fitted.to_straight(rows[:20])))


def test_the_pulled_target_is_a_density_of_the_straight_coordinates():
    fitted = learned()
    z = fitted.to_straight(bent_rows()[:20]).requires_grad_()
    x, log_det = fitted.from_straight(z)
    expected = log_density(x) + log_det
    (gradient,) = torch.autograd.grad(expected.sum(), z)
    value, score = fitted.pull(target)(z.detach())
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(score, gradient)


def test_chains_change_coordinates_without_an_evaluation():
    affine = Whitening(normal(3)[0], torch.eye(4).double() + 0.2 * normal(4)[:4])
    coordinates, state = Coordinates(affine, learned()), metropolis.init(bent_rows()[:20], target)
    white = coordinates.pull_state(state)
    for ours, fresh in zip(white, metropolis.init(white.x, coordinates.pull(target)), strict=True):
        torch.testing.assert_close(ours, fresh)
    for ours, first in zip(coordinates.push_state(white), state, strict=True):
        torch.testing.assert_close(ours, first)
    x, more = coordinates.from_white(white.x)
    torch.testing.assert_close(x, state.x)
    torch.testing.assert_close(white.value - more, state.value)


def test_a_bend_of_nothing_is_a_standardisation():
    zero = torch.zeros(2, 2).double()
    flat = bend.Bend(torch.tensor([1, 0]), torch.ones(2).double(), torch.eye(2).double(), zero, zero[0], zero)
    x, log_det = flat.from_straight(torch.tensor([[3.0, 5.0]]).double())
    assert x.tolist() == [[6.0, 4.0]]
    assert math.isclose(float(log_det), 0)
