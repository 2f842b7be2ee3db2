import torch

from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening, identity
from scorefleet.tasks.mcmc.kernels import hmc, metropolis
from scorefleet.tasks.mcmc.streams import Stream


def gaussian(x):
    precision = torch.tensor([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 4.0]], dtype=torch.float64)
    return -0.5 * ((x @ precision) * x).sum(1), -x @ precision


def whitening():
    random = Stream(0, 0).at(0, 0)
    return Whitening(random.normal(3).double(), torch.eye(3).double() + 0.3 * random.normal(3, 3).double())


def diagonal():
    return Whitening(whitening().mean, torch.tensor([0.2, 3.0, 50.0], dtype=torch.float64))


def points():
    return Stream(0, 0).at(0, 1).normal(20, 3).double()


def test_white_coordinates_are_there_and_back():
    white, x = whitening(), points()
    torch.testing.assert_close(white.from_white(white.to_white(x)), x)
    torch.testing.assert_close(identity(3).to_white(x), x, rtol=0, atol=0)


def test_the_score_pulled_back_is_the_gradient_in_white_coordinates():
    white, z = whitening(), points().requires_grad_()
    value, score = white.pull(gaussian)(z)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    torch.testing.assert_close(score, gradient)


def test_chains_change_coordinates_without_an_evaluation():
    white, state = whitening(), metropolis.init(points(), gaussian)
    pulled = white.pull_state(state)
    for ours, fresh in zip(pulled, metropolis.init(white.to_white(state.x), white.pull(gaussian)), strict=True):
        torch.testing.assert_close(ours, fresh)
    for ours, first in zip(white.push_state(pulled), state, strict=True):
        torch.testing.assert_close(ours, first)


def test_a_leapfrog_in_white_coordinates_is_one_with_the_inverse_covariance_as_mass():
    white, state, momentum = whitening(), metropolis.init(points(), gaussian), points().flip(0)
    end, _, _ = hmc.leapfrog(white.pull_state(state), momentum, white.pull(gaussian), 0.3, 1)
    covariance = white.factor @ white.factor.T
    velocity = momentum @ white.factor.T + 0.15 * state.score @ covariance
    torch.testing.assert_close(white.from_white(end.x), state.x + 0.3 * velocity)


def test_a_diagonal_map_is_the_matrix_with_that_diagonal():
    short, state = diagonal(), metropolis.init(points(), gaussian)
    full = Whitening(short.mean, torch.diag(short.factor))
    for one, other in (
        (short.pull_state(state), full.pull_state(state)),
        (short.push_state(state), full.push_state(state)),
    ):
        for ours, expected in zip(one, other, strict=True):
            torch.testing.assert_close(ours, expected)
    for ours, expected in zip(short.pull(gaussian)(points()), full.pull(gaussian)(points()), strict=True):
        torch.testing.assert_close(ours, expected)
