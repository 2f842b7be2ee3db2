import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from scorefleet.tasks.ebm import energies, fused, model

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
FORMS = list(energies.ENERGIES)
LEVEL = -2.5
SHAPES = [(1, 13, 1, 0), (3, 16, 2, 2), (5, 100, 3, 1), (64, 256, 2, 0)]


def trained_like(energy, dim, width, num_blocks, num_conditions):
    """An energy whose every parameter matters, and whose anchor is not white."""
    torch.manual_seed(dim)
    network = model.build(dim, energy, width, num_blocks, num_conditions).requires_grad_(False).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=2 / width**0.5)
    network.fit_anchor(torch.randn(100, dim) @ torch.randn(dim, dim))
    return network


def in_float64(network, x):
    """Value and score by autograd, in double precision."""
    exact = model.build(x.shape[1], *_architecture(network)).requires_grad_(False).eval()
    exact.load_state_dict(network.state_dict())
    return energies.value_and_score(exact.double(), x.double(), torch.full((len(x),), LEVEL, dtype=torch.float64))


def _architecture(network):
    inner = network.network
    form = next(name for name, kind in energies.ENERGIES.items() if type(network) is kind)
    return form, inner.first.out_features, len(inner.blocks), inner.num_conditions


@pytest.mark.parametrize("energy", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_score_are_those_of_autograd_to_rounding(energy, shape):
    """Single precision keeps 6e-8 of each number, and some hundred of them are added: 1e-5 of the largest."""
    network = trained_like(energy, *shape)
    x = torch.randn(77, shape[0])
    found = fused.target(network, LEVEL)(x)
    for ours, exact in zip(found, in_float64(network, x), strict=True):
        assert ours.dtype == torch.float32
        assert float((ours - exact).abs().max()) < 1e-5 * float(exact.abs().max())


@pytest.mark.parametrize("energy", FORMS)
def test_the_score_is_the_gradient_by_finite_differences_in_float64(energy):
    network = trained_like(energy, 3, 16, 2, 2)
    x = torch.randn(9, 3)
    _, score = fused.target(network, LEVEL)(x)
    for axis in range(3):
        step = 1e-5 * torch.eye(3, dtype=torch.float64)[axis]
        up, down = (in_float64(network, x.double() + sign * step)[0] for sign in (1, -1))
        torch.testing.assert_close(score[:, axis].double(), (up - down) / 2e-5, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sizes", [(2, 64), (3, 20), (3, 31, 5), (64, 256)])
def test_a_perceptron_is_that_of_autograd_to_rounding(sizes):
    torch.manual_seed(0)
    layers = [
        layer for pair in zip(sizes, (*sizes[1:], sizes[-1]), strict=True) for layer in (nn.Linear(*pair), nn.SiLU())
    ]
    network = nn.Sequential(*layers, nn.Linear(sizes[-1], 1)).requires_grad_(False)
    x = torch.randn(65, sizes[0])
    value, score = fused.multilayer(network)(x)
    network, x = network.double(), x.double().requires_grad_()
    exact = network(x)[:, 0]
    (gradient,) = torch.autograd.grad(exact.sum(), x)
    torch.testing.assert_close(value.double(), exact.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(score.double(), gradient, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("energy", FORMS)
def test_a_chain_has_the_same_bytes_alone_and_among_others_and_in_another_thread(energy):
    target = fused.target(trained_like(energy, 3, 16, 2, 0), LEVEL)
    x = torch.randn(100, 3)
    value, score = target(x)
    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(target, (x[:37], x[37:])))
    assert torch.equal(torch.cat([half[0] for half in halves]), value)
    if energy == "inner_product":  # the scalar head's first product is torch's
        assert torch.equal(target(x[99:])[0], value[99:])
        assert torch.equal(torch.cat([half[1] for half in halves]), score)


def test_far_away_the_activation_does_not_leave_the_numbers():
    target = fused.multilayer(nn.Sequential(nn.Linear(1, 1), nn.SiLU(), nn.Linear(1, 1)).requires_grad_(False))
    value, score = target(torch.tensor([[1e4], [-1e4], [1e6], [-1e6]]))
    assert value.isfinite().all()
    assert score.isfinite().all()


def test_a_point_that_is_not_a_number_has_no_value():
    value, _ = fused.target(trained_like("inner_product", 3, 16, 2, 0), LEVEL)(torch.full((1, 3), torch.nan))
    assert value.isnan().all()


def test_what_it_does_not_know_is_left_to_autograd():
    assert fused.target(model.build(3, "inner_product", 16, 1).double(), LEVEL) is None
    assert fused.target(nn.Linear(3, 1), LEVEL) is None
    description = {"dim": 3, "energy": "inner_product", "width": 16, "num_blocks": 1, "num_conditions": 0}
    slow = model.Model(model.build(3, "inner_product", 16, 1).double(), description).target(LEVEL)
    x = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(slow(x)[1], -x)


@pytest.mark.parametrize("energy", FORMS)
def test_points_of_another_width_or_type_are_refused(energy):
    target = fused.target(trained_like(energy, 3, 16, 2, 0), LEVEL)
    assert target is not None
    for x in (torch.zeros(4, 2), torch.zeros(4, 3, dtype=torch.float64)):
        with pytest.raises((ValueError, RuntimeError)):
            target(x)
