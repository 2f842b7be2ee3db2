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


NAMED = {
    "a: above(2), b[2]: below(-1)": lambda a, b: (a > 2).all() and (b < -1).all(),
    "c[2,3]: ordered": lambda c: (c.diff(dim=2) > 0).all(),
    "w[2,3]: simplex": lambda w: (w > 0).all() and torch.allclose(w.sum(2), torch.ones(len(w), 2).double()),
    "u[4]: unit_vector": lambda u: torch.allclose(u.norm(dim=1), torch.ones(len(u)).double()),
    "L[3, 3]: correlation_cholesky": lambda L: (
        torch.allclose((L @ L.mT).diagonal(dim1=1, dim2=2), torch.ones(len(L), 3).double()) and (L.triu(1) == 0).all()
    ),
}


@pytest.mark.parametrize("text", NAMED)
def test_blocks_have_their_shapes_lie_inside_and_come_from_where_they_lead_to(text):
    support = parse(text)
    x, _ = support.constrain(free_points(64, support.free))
    blocks = support.blocks(x)
    assert {name: [*block.shape[1:]] for name, block in blocks.items()} == {
        part.words.name: [*part.words.shape] for part in support.parts
    }
    assert NAMED[text](**blocks)
    again, _ = support.constrain(support.to_free(x))
    torch.testing.assert_close(again, x)


@pytest.mark.parametrize("text", [text for text in NAMED if "unit_vector" not in text])
def test_the_jacobian_of_a_block_is_that_of_finite_differences(text):
    support = parse(text)
    kept = torch.ones(support.dim, dtype=torch.bool)
    if "simplex" in text:
        kept[2::3] = False  # the last of each, which the others determine
    z = free_points(1, support.free)
    jacobian = torch.autograd.functional.jacobian(lambda point: support.constrain(point)[0][0], z)[kept, 0]
    assert math.isclose(float(support.constrain(z)[1]), float(jacobian.det().abs().log()), abs_tol=1e-9)


@pytest.mark.parametrize(
    ("n", "circle", "expected"),
    [(2, lambda angle: torch.full_like(angle, 2.0), 2 * math.pi * float(torch.special.i0(torch.tensor(1.5).double()))),
     (3, lambda angle: 2 * math.pi * angle.sin(), 4 * math.pi * math.sinh(1.5) / 1.5)],
)  # fmt: skip
def test_a_density_on_a_sphere_keeps_its_mass(n, circle, expected):
    """`exp(k u_1)`, k = 1.5, has the mass 2 pi I0(k) on the circle, 4 pi sinh(k)/k on the sphere. By the trapezoid rule
    over the radius and the angle to the first axis, at which points make two, or a circle.
    """
    pulled = parse(f"u[{n}]: unit_vector").pull(lambda x: 1.5 * x[:, 0])
    r, angle = torch.linspace(0, 12, 2401).double(), torch.linspace(0, math.pi, 721).double()
    flat = torch.stack([r[:, None] * angle.cos(), r[:, None] * angle.sin()], -1).reshape(-1, 2)
    z = torch.cat([flat, flat.new_zeros(len(flat), n - 2)], dim=1)
    values = pulled(z).exp().nan_to_num(0.0).reshape(len(r), -1) * r[:, None] ** (n - 1) * circle(angle)
    mass = torch.trapezoid(torch.trapezoid(values, r, dim=0), angle)
    assert math.isclose(float(mass), expected, rel_tol=1e-5)


def test_labels_are_in_the_order_of_the_point():
    labels = [
        label
        for part in parse("b[2,2]: real, t: positive, L[3,3]: correlation_cholesky").parts
        for label in part.words.labels
    ]
    assert labels == ["b[0,0]", "b[0,1]", "b[1,0]", "b[1,1]", "t", "L[1,0]", "L[2,0]", "L[2,1]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: real, positive", "name every part"),
        ("a: real, a: positive", "each by a name of its own"),
        ("a[2]: real*2", "but got 'a\\[2\\]: real\\*2'"),
        ("L[2,3]: correlation_cholesky", "must be a named square block"),
        ("correlation_cholesky", "must be a named square block"),
        ("u: unit_vector", "2 coordinates or more"),
        ("a: above", "above takes 1 bounds"),
        ("a: real(1)", "real takes no bounds"),
        ("a: above(inf)", "must be finite"),
        ("a[0]: real", "a coordinate or more"),
    ],
)
def test_blocks_that_cannot_be_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "dim", "message"),
    [
        ("positiv", 2, "must be real, positive, box, above"),
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
