"""Edges: declared with `--support`, written as -inf, or left as NaN outside the domain."""

import math

import torch
from torch import Tensor

from benchmarks.known.known import Known, gamma, kept, normal, uniform


def _beta(num_rows: int, generator: torch.Generator) -> Tensor:
    """Beta(.5, .5): the arcsine distribution, infinitely dense at both ends."""
    return (0.5 * math.pi * uniform(num_rows, 2, generator)).sin().square()


def _dirichlet(num_rows: int, generator: torch.Generator) -> Tensor:
    parts = torch.cat([gamma(num_rows, shape, generator) for shape in (0.8, 2.0, 5.0)], 1)
    return parts / parts.sum(1, keepdim=True)


def _dirichlet_density(x: Tensor) -> Tensor:
    return ((torch.tensor([0.8, 2.0, 5.0]).to(x) - 1) * x.log()).sum(1)


def _moons(x: Tensor) -> Tensor:
    """Two half rings, uniform inside and -inf outside."""
    return torch.where(_is_in_moons(x), 0 * x.sum(1), -math.inf)


def _is_in_moons(x: Tensor) -> Tensor:
    upper = ((x - torch.tensor([0.0, 0.0]).to(x)).norm(dim=1) - 3).abs() < 0.3
    lower = ((x - torch.tensor([3.0, 1.0]).to(x)).norm(dim=1) - 3).abs() < 0.3
    return (upper & (x[:, 1] > 0)) | (lower & (x[:, 1] < 1))


def _moons_draw(num_rows: int, generator: torch.Generator) -> Tensor:
    low, high = torch.tensor([-3.4, -2.4]), torch.tensor([6.4, 3.4])
    return low + (high - low) * uniform(num_rows, 2, generator)


def _ordered(x: Tensor) -> Tensor:
    return torch.where((x.diff(dim=1) > 0).all(1), -0.5 * x.square().sum(1), -math.inf)


def _gamma_by_hand(x: Tensor) -> Tensor:
    """Gamma(3, 1) in each coordinate, NaN below 0."""
    return (2 * x.log() - x).sum(1)


def _far_box(x: Tensor) -> Tensor:
    """Uniform on (100, 101)^2, -inf outside: no finite point near the origin."""
    return torch.where(((x > 100) & (x < 101)).all(1), 0 * x.sum(1), -math.inf)


def in_far_box() -> Tensor:
    """Points that a user hands over for it with `--init`."""
    return 100 + uniform(32, 2, torch.Generator().manual_seed(0))


def _disc(x: Tensor) -> Tensor:
    return torch.where(x.square().sum(1) < 4, 0 * x.sum(1), -math.inf)


EDGES = (
    Known("uniform_box_3d", "edges", 3, lambda x: 0 * x.sum(1), lambda n, g: uniform(n, 3, g), support="box(0, 1)"),
    Known("uniform_box_1d", "edges", 1, lambda x: 0 * x.sum(1), lambda n, g: uniform(n, 1, g), support="box(0, 1)"),
    Known(
        "uniform_box_20d",
        "edges",
        20,
        lambda x: 0 * x.sum(1),
        lambda n, g: 6 * uniform(n, 20, g) - 1,
        support="box(-1, 5)",
    ),
    Known("triangle", "edges", 2, lambda x: x.log().sum(1), lambda n, g: uniform(n, 2, g).sqrt(), support="box(0, 1)"),
    Known("arcsine", "edges", 2, lambda x: (-0.5 * (x * (1 - x)).log()).sum(1), _beta, support="box(0, 1)"),
    Known(
        "half_normal", "edges", 3, lambda x: -0.5 * x.square().sum(1), lambda n, g: normal(n, 3, g).abs(), "positive"
    ),
    Known("exponential", "edges", 3, lambda x: -x.sum(1), lambda n, g: -uniform(n, 3, g).log(), support="positive"),
    Known(
        "gamma_.3",
        "edges",
        2,
        lambda x: (-0.7 * x.log() - x).sum(1),
        lambda n, g: torch.cat([gamma(n, 0.3, g), gamma(n, 0.3, g)], 1),
        support="positive",
    ),
    Known("dirichlet", "edges", 3, _dirichlet_density, _dirichlet, support="simplex"),
    Known(
        "half_normal_not_declared",
        "edges",
        3,
        lambda x: torch.where((x > 0).all(1), -0.5 * x.square().sum(1), -math.inf),
        lambda n, g: normal(n, 3, g).abs(),
    ),
    Known(
        "gamma_3_not_declared",
        "edges",
        2,
        _gamma_by_hand,
        lambda n, g: torch.cat([gamma(n, 3.0, g), gamma(n, 3.0, g)], 1),
    ),
    Known("disc", "edges", 2, _disc, kept(lambda n, g: 4 * uniform(n, 2, g) - 2, lambda x: x.square().sum(1) < 4)),
    Known("two_moons", "edges", 2, _moons, kept(_moons_draw, _is_in_moons)),
    Known("ordered_5d", "edges", 5, _ordered, lambda n, g: normal(n, 5, g).sort(1).values),
    Known("ordered_10d", "edges", 10, _ordered, lambda n, g: normal(n, 10, g).sort(1).values),
    Known("box_far_away", "edges", 2, _far_box, lambda n, g: 100 + uniform(n, 2, g)),
    Known(
        "box_far_away_with_init",
        "edges",
        2,
        _far_box,
        lambda n, g: 100 + uniform(n, 2, g),
        options={"init": "benchmarks.known.edges:in_far_box"},
    ),
)
