import pytest
import torch

from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening
from scorefleet.tasks.mcmc.coordinates.triangular import Triangular
from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.streams import Stream

DIM = 4


def normal(step, *shape):
    return Stream(0, 0).at(0, step).normal(*shape).double()


def some(step=0):
    """A map with all that it may have."""
    before = torch.ones(DIM, DIM).double().tril(-1)
    square = 0.3 * normal(step, DIM, DIM, DIM) * before[:, :, None] * before[:, None, :]
    return Triangular(
        normal(step + 1, DIM),
        torch.eye(DIM).double() + 0.2 * normal(step + 2, DIM, DIM),
        0.3 * normal(step + 3, DIM),
        0.4 * normal(step + 4, DIM, DIM) * before,
        0.5 * (square + square.mT),
        0.8 * normal(step + 5, DIM),
    )


def log_density(x):
    return -0.5 * x.square().sum(1) + x[:, 0].sin() * x[:, 1]


def target(x):
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = log_density(x)
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score


def test_straight_coordinates_are_there_and_back():
    mapped, z = some(), 2 * normal(9, 200, DIM)
    torch.testing.assert_close(mapped.to_straight(mapped.from_straight(z)[0]), z)


def test_the_map_is_onto():
    """Points far out, on every side, have a place that the map takes there."""
    mapped, x = some(), 3 * normal(9, 200, DIM)
    torch.testing.assert_close(mapped.from_straight(mapped.to_straight(x))[0], x)


def test_the_volume_is_that_of_the_jacobian_up_to_that_of_the_factor():
    mapped, z = some(), normal(9, 20, DIM)
    jacobian = torch.autograd.functional.jacobian(lambda z: mapped.from_straight(z)[0].sum(0), z).permute(1, 0, 2)
    log_det = mapped.from_straight(z)[1] + torch.linalg.slogdet(mapped.factor)[1]
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det)


def test_the_pulled_target_is_a_density_of_the_straight_coordinates():
    mapped, z = some(), normal(9, 20, DIM).requires_grad_()
    x, log_det = mapped.from_straight(z)
    expected = log_density(x) + log_det
    (gradient,) = torch.autograd.grad(expected.sum(), z)
    value, score = mapped.pull(target)(z.detach())
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(score, gradient)


def test_chains_change_coordinates_without_an_evaluation():
    """Through two maps and an affine one."""
    affine = Whitening(normal(3, DIM), torch.eye(DIM).double() + 0.2 * normal(4, DIM, DIM))
    coordinates, state = Coordinates(affine, some(), some(20)), metropolis.init(normal(9, 20, DIM), target)
    white = coordinates.pull_state(state)
    for ours, fresh in zip(white, metropolis.init(white.x, coordinates.pull(target)), strict=True):
        torch.testing.assert_close(ours, fresh)
    for ours, first in zip(coordinates.push_state(white), state, strict=True):
        torch.testing.assert_close(ours, first)
    x, more = coordinates.from_white(white.x)
    torch.testing.assert_close(x, state.x)
    torch.testing.assert_close(white.value - more, state.value)
    torch.testing.assert_close(coordinates.to_white(state.x), white.x)


def test_the_volume_of_all_layers_is_that_of_the_jacobian():
    """log Z in white coordinates becomes that of the user's own by `log_volume`."""
    affine = Whitening(normal(7, DIM), torch.eye(DIM).double() + 0.2 * normal(8, DIM, DIM))
    coordinates, w = Coordinates(affine, some(), some(20)), normal(9, 5, DIM)
    jacobian = torch.autograd.functional.jacobian(lambda w: coordinates.from_white(w)[0].sum(0), w).permute(1, 0, 2)
    volume = coordinates.from_white(w)[1] + coordinates.log_volume
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], volume)


def test_a_map_of_nothing_is_affine():
    zero = torch.zeros(2, 2, 2).double()
    flat = Triangular(torch.ones(2).double(), 2 * torch.eye(2).double(), zero[0, 0], zero[0], zero, zero[0, 0])
    x, log_det = flat.from_straight(torch.tensor([[3.0, 5.0]]).double())
    assert x.tolist() == [[7.0, 11.0]]
    assert float(log_det) == pytest.approx(0)
