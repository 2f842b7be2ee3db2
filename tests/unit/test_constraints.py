import math

import pytest
import torch
from torch.distributions import Beta, Dirichlet, Gamma

from scorefleet.tasks.mcmc.coordinates.constraints import parse
from scorefleet.tasks.mcmc.targets import from_log_density


def free_points(num_rows, dim):
    return torch.randn(num_rows, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_words_without_a_number_cover_all_coordinates_or_one():
    assert [part.dim for part in parse("positive", 4).parts] == [4]
    assert [part.dim for part in parse("real*2, positive, box(0, 1)", 4).parts] == [2, 1, 1]


@pytest.mark.parametrize(
    ("text", "dim", "is_inside"),
    [
        ("positive", 3, lambda x: (x > 0).all()),
        ("box(-2, 5)", 3, lambda x: ((x > -2) & (x < 5)).all()),
        ("simplex", 4, lambda x: (x > 0).all() and torch.allclose(x.sum(1), torch.ones(len(x), dtype=x.dtype))),
    ],
)
def test_points_come_out_inside(text, dim, is_inside):
    support = parse(text, dim)
    x, _ = support.constrain(free_points(64, support.free))
    assert x.shape == (64, dim)
    assert is_inside(x)


@pytest.mark.parametrize("text", ["positive*2, real", "box(0, 3)", "simplex*3", "real*2, simplex*3"])
def test_the_jacobian_is_that_of_finite_differences(text):
    """On a simplex the volume is that of all coordinates but the last, which the others determine."""
    dim = {"positive*2, real": 3, "box(0, 3)": 3, "simplex*3": 3, "real*2, simplex*3": 5}[text]
    support = parse(text, dim)
    z = free_points(1, support.free)
    jacobian = torch.autograd.functional.jacobian(lambda point: support.constrain(point)[0][0], z)[:, 0]
    assert math.isclose(float(support.constrain(z)[1]), float(jacobian[: support.free].det().abs().log()), abs_tol=1e-9)


@pytest.mark.parametrize(
    ("text", "dim", "law"),
    [
        ("positive", 1, lambda x: Gamma(torch.tensor(2.0).double(), torch.tensor(3.0).double()).log_prob(x[:, 0])),
        ("box(0, 1)", 1, lambda x: Beta(torch.tensor(2.0).double(), torch.tensor(5.0).double()).log_prob(x[:, 0])),
        ("simplex", 2, lambda x: Dirichlet(torch.tensor([2.0, 3.0]).double()).log_prob(x)),
    ],
)
def test_a_density_keeps_its_mass_in_free_coordinates(text, dim, law):
    """The integral of exp f over the whole line is 1, by the trapezoid rule."""
    z = torch.linspace(-40, 40, 80_001, dtype=torch.float64)
    mass = torch.trapezoid(parse(text, dim).pull(law)(z[:, None]).exp().nan_to_num(0.0), z)
    assert abs(float(mass) - 1) < 1e-6


def test_scores_are_those_of_finite_differences():
    target = from_log_density(parse("real, positive, simplex*3", 5).pull(lambda x: -(x.square() * x).sum(1)))
    z, step = free_points(6, 4), 1e-6
    for k in range(4):
        along = torch.zeros(4, dtype=torch.float64)
        along[k] = step
        slope = (target(z + along)[0] - target(z - along)[0]) / (2 * step)
        assert torch.allclose(slope, target(z)[1][:, k], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("text", "dim", "message"),
    [
        ("positiv", 2, "must be real, positive, simplex or box"),
        ("real*2, positive", 4, "as many coordinates as dim, 4"),
        ("box(1, 0)", 2, "must be below the second"),
        ("box(a, 1)", 2, "must be numbers"),
        ("simplex*1, real", 2, "2 coordinates or more"),
        ("", 2, "but got ''"),
    ],
)
def test_other_words_are_refused(text, dim, message):
    with pytest.raises(ValueError, match=message):
        parse(text, dim)
