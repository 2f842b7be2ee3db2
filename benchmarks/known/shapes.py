"""Ridges, funnels, holes, and posteriors."""

import math

import numpy as np
import torch
from torch import Tensor

from benchmarks.known.known import Known, kept, normal, uniform


def gaussian(name: str, mean: Tensor, factor: Tensor, kind: str = "ridges") -> Known:
    """N(mean, factor factor')."""
    inverse = torch.linalg.inv(factor)
    return Known(
        name,
        kind,
        len(mean),
        lambda x: -0.5 * ((x - mean) @ inverse.T).square().sum(1),
        lambda n, g: mean + normal(n, len(mean), g) @ factor.T,
    )


def _rotated(condition: float, dim: int) -> Known:
    random = torch.Generator().manual_seed(0)
    rotation, _ = torch.linalg.qr(normal(dim, dim, random))
    widths = torch.logspace(0, math.log10(condition), dim, dtype=torch.float64)
    return gaussian(f"rotated_{condition:g}_{dim}d", torch.zeros(dim, dtype=torch.float64), rotation * widths)


def _banana(num_rows: int, generator: torch.Generator) -> Tensor:
    x = normal(num_rows, 2, generator)
    return torch.stack([10 * x[:, 0], x[:, 1] + 0.03 * (100 * x[:, 0] ** 2 - 100)], 1)


def _rosenbrock(num_rows: int, generator: torch.Generator) -> Tensor:
    """`exp(-(a - 1)^2/20 - 5 (b - a^2)^2)`."""
    z = normal(num_rows, 2, generator)
    a = 1 + math.sqrt(10) * z[:, 0]
    return torch.stack([a, a**2 + z[:, 1] / math.sqrt(10)], 1)


def funnel(dim: int, width: float) -> Known:
    """`v ~ N(0, width^2)`, and the others `N(0, exp v)`."""

    def log_density(x: Tensor) -> Tensor:
        v, rest = x[:, 0], x[:, 1:]
        return -0.5 * (v / width) ** 2 - 0.5 * (dim - 1) * v - 0.5 * rest.square().sum(1) * (-v).exp()

    def draw(num_rows: int, generator: torch.Generator) -> Tensor:
        z = normal(num_rows, dim, generator)
        v = width * z[:, :1]
        return torch.cat([v, (0.5 * v).exp() * z[:, 1:]], 1)

    return Known(f"funnel_{width:g}_{dim}d", "funnels", dim, log_density, draw)


def _shell(dim: int, radius: float, width: float) -> Known:
    """`r ~ r^(d-1) exp(-(r - radius)^2/2 width^2)` about the origin."""

    def wide(num_rows: int, generator: torch.Generator) -> Tensor:
        direction = normal(num_rows, dim, generator)
        r = radius + width * normal(num_rows, 1, generator)
        accept = uniform(num_rows, 1, generator) < (r.clamp(min=0) / (radius + 8 * width)) ** (dim - 1)
        rows = r * direction / direction.norm(dim=1, keepdim=True)
        return torch.where(accept, rows, torch.full_like(rows, math.nan))

    draw = kept(wide, lambda rows: rows.isfinite().all(1))
    return Known(
        f"shell_{radius:g}_{width:g}_{dim}d",
        "holes",
        dim,
        lambda x: -0.5 * ((x.norm(dim=1) - radius) / width) ** 2,
        draw,
    )


def _punctured(x: Tensor) -> Tensor:
    return torch.where(x.square().sum(1) > 1, -0.5 * x.square().sum(1), -math.inf)


EFFECT = torch.tensor([28.0, 8, -3, 7, -1, 1, 18, 12], dtype=torch.float64)
ERROR = torch.tensor([15.0, 10, 16, 11, 9, 11, 10, 18], dtype=torch.float64)


def _eight_schools(x: Tensor) -> Tensor:
    """Centred: effects, mean ~ N(0, 5^2), scale ~ half-Cauchy(5)."""
    theta, mu, tau = x[:, :8], x[:, 8], x[:, 9]
    fit = -0.5 * ((EFFECT - theta) / ERROR).square().sum(1)
    prior = -0.5 * ((theta - mu[:, None]) / tau[:, None]).square().sum(1) - 8 * tau.log()
    return fit + prior - 0.5 * (mu / 5).square() - torch.log1p((tau / 5).square())


def _eight_schools_draw(num_rows: int, generator: torch.Generator) -> Tensor:
    """tau by its marginal on a grid of log tau, then mu, then the effects: both normal."""
    log_tau = torch.linspace(-12, 9, 200_001, dtype=torch.float64)
    tau = log_tau.exp()
    variance = ERROR.square() + tau.square()[:, None]
    precision = (1 / variance).sum(1) + 1 / 25
    centre = (EFFECT / variance).sum(1) / precision
    marginal = log_tau - torch.log1p((tau / 5).square()) - 0.5 * precision.log()
    marginal += -0.5 * variance.log().sum(1) - 0.5 * (EFFECT.square() / variance).sum(1) + 0.5 * centre**2 * precision
    edges = marginal.softmax(0).cumsum(0)
    at = torch.searchsorted(edges, uniform(num_rows, 1, generator)[:, 0]).clamp(max=len(tau) - 1)
    tau, z = tau[at], normal(num_rows, 9, generator)
    mu = centre[at] + z[:, 8] / precision[at].sqrt()
    each = 1 / ERROR.square() + 1 / tau.square()[:, None]
    mean = (EFFECT / ERROR.square() + (mu / tau.square())[:, None]) / each
    return torch.cat([mean + z[:, :8] / each.sqrt(), mu[:, None], tau[:, None]], 1)


def _eight_schools_raw(x: Tensor) -> Tensor:
    """Not centred, over log tau."""
    mu, log_tau = x[:, 8:9], x[:, 9:]
    theta = torch.cat([mu + log_tau.exp() * x[:, :8], mu, log_tau.exp()], 1)
    return _eight_schools(theta) + 9 * log_tau[:, 0]


def _eight_schools_raw_draw(num_rows: int, generator: torch.Generator) -> Tensor:
    x = _eight_schools_draw(num_rows, generator)
    return torch.cat([(x[:, :8] - x[:, 8:9]) / x[:, 9:], x[:, 8:9], x[:, 9:].log()], 1)


def _correlated() -> Known:
    covariance = torch.full((10, 10), 0.999, dtype=torch.float64).fill_diagonal_(1)
    return gaussian("correlated_.999_10d", torch.zeros(10, dtype=torch.float64), torch.linalg.cholesky(covariance))


SHAPES = (
    gaussian("normal_3d", torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64), "plain"),
    gaussian("normal_50d", torch.ones(50, dtype=torch.float64), torch.eye(50, dtype=torch.float64), "plain"),
    _correlated(),
    _rotated(1e3, 20),
    _rotated(1e6, 5),
    Known(
        "banana",
        "ridges",
        2,
        lambda x: -0.5 * (x[:, 0] / 10) ** 2 - 0.5 * (x[:, 1] - 0.03 * (x[:, 0] ** 2 - 100)) ** 2,
        _banana,
    ),
    Known(
        "rosenbrock", "ridges", 2, lambda x: -((x[:, 0] - 1) ** 2) / 20 - 5 * (x[:, 1] - x[:, 0] ** 2) ** 2, _rosenbrock
    ),
    funnel(5, 1),
    funnel(10, 3),
    _shell(2, 10, 0.5),
    _shell(5, 10, 0.5),
    Known("hole_3d", "holes", 3, _punctured, kept(lambda n, g: normal(n, 3, g), lambda x: x.square().sum(1) > 1)),
    Known(
        "zero_at_the_origin",
        "holes",
        2,
        lambda x: x.square().sum(1).log() - 0.5 * x.square().sum(1),
        lambda n, g: _ray(n, g),
    ),
    Known("eight_schools", "funnels", 10, _eight_schools, _eight_schools_draw, support="real*9, positive"),
    Known("eight_schools_not_centred", "plain", 10, _eight_schools_raw, _eight_schools_raw_draw),
)


def _ray(num_rows: int, generator: torch.Generator) -> Tensor:
    """`r^3 exp(-r^2/2)`, a chi of 4 degrees, in a uniform direction."""
    r = normal(num_rows, 4, generator).norm(dim=1)
    angle = 2 * np.pi * uniform(num_rows, 1, generator)[:, 0]
    return r[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
