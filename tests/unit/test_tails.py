import pytest
import torch

from scorefleet.tasks.mcmc.coordinates import tails
from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening, identity
from scorefleet.tasks.mcmc.coordinates.tails import RadialTail, TailsOfCoordinates
from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.metropolis import State
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import tail_fit

DIM, NUM_ROWS = 4, 2560


def normal(step, *shape):
    return Stream(0, 0).at(0, step).normal(*shape).double()


def some_tails():
    """No tail at all on one side of the second coordinate."""
    heaviness = torch.tensor([[0.3, 0.0, 1.0, 0.1], [0.1, 0.5, 0.2, 0.1]]).double()
    return TailsOfCoordinates(normal(1, DIM), 0.1 + normal(2, DIM).abs(), heaviness)


def radial(heaviness=0.4, knee=1.3):
    return RadialTail(torch.tensor(heaviness).double(), torch.tensor(knee).double())


LAYERS = [some_tails(), radial(), radial(0.4, 0.0), radial(0.0, 2.0)]


def log_density(x):
    return -2 * (1 + x.square().sum(1)).log() + x[:, 0].sin() * x[:, 1].tanh()


def target(x):
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = log_density(x)
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score


@pytest.mark.parametrize("layer", LAYERS)
def test_the_pulled_target_is_a_density_of_the_inner_coordinates(layer):
    """Its log volume is that of the Jacobian, and its score the gradient of its value."""
    y = normal(9, 20, DIM)
    push = lambda y: layer.push_state(State(y, y[:, 0], y)).x  # noqa: E731
    jacobian = torch.autograd.functional.jacobian(lambda y: push(y).sum(0), y).permute(1, 0, 2)
    value, score = layer.pull(target)(y)
    expected = log_density(push(y)) + torch.linalg.slogdet(jacobian)[1] - layer.log_volume
    torch.testing.assert_close(value, expected)
    step = 1e-6 * torch.eye(DIM).double()
    up, down = (torch.stack([layer.pull(target)(y + sign * e)[0] for e in step], 1) for sign in (1, -1))
    torch.testing.assert_close(score, (up - down) / 2e-6, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_chains_change_coordinates_without_an_evaluation(layer):
    """From the bulk to a million deviations away."""
    x = normal(9, 60, DIM) * torch.logspace(-3, 6, 60).double()[:, None]
    state = metropolis.init(x, target)
    inner = layer.pull_state(state)
    for ours, fresh in zip(inner, metropolis.init(inner.x, layer.pull(target)), strict=True):
        torch.testing.assert_close(ours, fresh, rtol=1e-6, atol=1e-8)
    for ours, first in zip(layer.push_state(inner), state, strict=True):
        torch.testing.assert_close(ours, first, rtol=1e-6, atol=1e-8)


def test_the_centre_is_a_point_like_any_other():
    for layer in (TailsOfCoordinates(torch.zeros(DIM).double(), *some_tails()[1:]), radial(), radial(0.4, 0.0)):
        state = metropolis.init(torch.zeros(2, DIM).double(), target)
        inner = layer.pull_state(state)
        assert torch.equal(inner.x, state.x)
        assert bool(torch.cat([inner.score, layer.push_state(inner).score]).isfinite().all())


def test_the_farthest_number_has_a_place():
    one = torch.ones(3).double()
    s = tails.invert(torch.tensor([0.0, 1e-300, 1e300], dtype=torch.float64), one, 0 * one)
    assert s[0] == 0
    assert float(s[2].log() + 0.5 * s[2].square()) == pytest.approx(690.7755, abs=1e-3)


def test_the_log_volume_of_all_layers_is_that_of_the_jacobian():
    affine = Whitening(normal(7, DIM), torch.eye(DIM).double() + 0.2 * normal(8, DIM, DIM))
    coordinates, w = Coordinates(affine, tails=some_tails(), radial=radial()), normal(9, 5, DIM)
    jacobian = torch.autograd.functional.jacobian(lambda w: coordinates.from_white(w)[0].sum(0), w).permute(1, 0, 2)
    volume = coordinates.from_white(w)[1] + coordinates.log_volume
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], volume)


def student(freedom, is_independent):
    """Draws of a t distribution, of each coordinate or of all together, with their scores."""
    z = normal(3, NUM_ROWS, DIM)
    chi = normal(4, NUM_ROWS, DIM if is_independent else 1, freedom).square().sum(2)
    x = z / (chi / freedom).sqrt()
    squared, power = (x.square(), freedom + 1) if is_independent else (x.square().sum(1, True), freedom + DIM)
    return State(x, x[:, 0], -power * x / (freedom + squared))


@pytest.mark.parametrize("freedom", [1, 2, 3])
@pytest.mark.parametrize("is_independent", [True, False])
def test_polynomial_tails_become_nearly_gaussian(freedom, is_independent):
    """The divergence of draws and scores from a normal is a tenth of DIM or less; of the draws as they are it is more
    than DIM with any metric.
    """
    state = student(freedom, is_independent)
    if is_independent:
        layer = tail_fit.of_coordinates(state.x)
        assert layer is not None
        made = Coordinates(identity(DIM), tails=layer)
    else:
        made = tail_fit.with_radial_tail(Coordinates(identity(DIM)), state)
        assert made.radial is not None
    assert tail_fit.divergence(made.pull_state(state)) < 0.15 * DIM


def test_a_tail_on_one_side_is_stretched_on_one_side():
    """A t distribution with 2 degrees of freedom above 0, half a normal below."""
    x = torch.where(normal(5, NUM_ROWS, 1) > 0, student(2, True).x[:, :1].abs(), -normal(6, NUM_ROWS, 1).abs())
    layer = tail_fit.of_coordinates(x)
    assert layer is not None
    assert float(layer.heaviness[0, 0]) < 0.1 < 0.3 < float(layer.heaviness[1, 0])


def test_a_normal_density_is_left_alone():
    """Its divergence is 0 in its own coordinates, and no map can halve that."""
    z = normal(7, NUM_ROWS, DIM)
    plain, state = Coordinates(identity(DIM)), State(z, z[:, 0], -z)
    assert tail_fit.with_radial_tail(plain, state) == plain
    assert not tail_fit.is_worth(tail_fit.divergence(state), 0.0)
