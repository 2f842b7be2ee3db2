"""Heavy and light tails."""

import math

import torch
from torch import Tensor

from benchmarks.known.known import Known, gamma, normal, uniform


def student(dim: int, freedom: float, scale: float = 1.0) -> Known:
    """Multivariate t: `x = scale z / sqrt(chi2/nu)`."""

    def log_density(x: Tensor) -> Tensor:
        return -0.5 * (freedom + dim) * torch.log1p((x / scale).square().sum(1) / freedom)

    def draw(num_rows: int, generator: torch.Generator) -> Tensor:
        chi2 = 2 * gamma(num_rows, freedom / 2, generator)
        return scale * normal(num_rows, dim, generator) / (chi2 / freedom).sqrt()

    name = f"student_{freedom:g}_{dim}d" + ("" if scale == 1 else f"_at_{scale:g}")
    return Known(name, "tails", dim, log_density, draw, has_mean=freedom > 1, has_sd=freedom > 2)


def independent_student(dim: int, freedom: float) -> Known:
    """A product of univariate t."""

    def draw(num_rows: int, generator: torch.Generator) -> Tensor:
        columns = [student(1, freedom).draw for _ in range(dim)]
        return torch.cat([column(num_rows, generator) for column in columns if column], 1)

    return Known(
        f"independent_student_{freedom:g}_{dim}d",
        "tails",
        dim,
        lambda x: -0.5 * (freedom + 1) * torch.log1p(x.square() / freedom).sum(1),
        draw,
        has_mean=freedom > 1,
        has_sd=freedom > 2,
    )


def _laplace(num_rows: int, generator: torch.Generator) -> Tensor:
    u = uniform(num_rows, 5, generator) - 0.5
    return -u.sign() * torch.log1p(-2 * u.abs())


def _lomax(num_rows: int, generator: torch.Generator) -> Tensor:
    return uniform(num_rows, 2, generator) ** (-1 / 4) - 1


def _horseshoe(num_rows: int, generator: torch.Generator) -> Tensor:
    scale = (0.5 * math.pi * uniform(num_rows, 1, generator)).tan()
    return torch.cat([scale * normal(num_rows, 1, generator), scale], 1)


TAILS = (
    *(student(dim, freedom) for dim, freedom in ((1, 3), (5, 3), (20, 3), (10, 4), (20, 5), (2, 2.5), (5, 30))),
    Known(
        "cauchy_1d", "tails", 1, lambda x: -torch.log1p(x[:, 0] ** 2), student(1, 1).draw, has_mean=False, has_sd=False
    ),
    independent_student(10, 2),
    independent_student(5, 4),
    Known("laplace_5d", "tails", 5, lambda x: -x.abs().sum(1), _laplace),
    Known("light_tails_3d", "tails", 3, lambda x: -(x**4).sum(1), lambda n, g: _fourth(n, g)),
    Known("lomax_4_2d", "tails", 2, lambda x: -5 * torch.log1p(x).sum(1), _lomax, support="positive"),
    Known(
        "log_normal_1.5",
        "tails",
        2,
        lambda x: (-x.log() - 0.5 * (x.log() / 1.5) ** 2).sum(1),
        lambda n, g: (1.5 * normal(n, 2, g)).exp(),
        support="positive",
    ),
    Known(
        "horseshoe",
        "tails",
        2,
        lambda x: -torch.log1p(x[:, 1] ** 2) - x[:, 1].log() - 0.5 * (x[:, 0] / x[:, 1]) ** 2,
        _horseshoe,
        support="real, positive",
        has_mean=False,
        has_sd=False,
    ),
)


def _fourth(num_rows: int, generator: torch.Generator) -> Tensor:
    """`exp(-x^4)`: `|x| = gamma(1/4)^(1/4)`."""
    size = torch.cat([gamma(num_rows, 0.25, generator) for _ in range(3)], 1) ** 0.25
    return size * (uniform(num_rows, 3, generator) - 0.5).sign()
