"""Scales from 1e-6 to 1e6, alone and mixed in one density."""

import torch
from torch import Tensor

from benchmarks.known.known import Known, normal, uniform
from benchmarks.known.shapes import funnel
from benchmarks.known.tails import student


def scaled(name: str, mean: Tensor, sd: Tensor) -> Known:
    """Independent N(mean, sd^2)."""
    return Known(
        name,
        "scales",
        len(mean),
        lambda x: -0.5 * ((x - mean) / sd).square().sum(1),
        lambda n, g: mean + sd * normal(n, len(mean), g),
    )


def _constant(dim: int, value: float) -> Tensor:
    return torch.full((dim,), value, dtype=torch.float64)


def _mixed() -> Known:
    sd = torch.logspace(-6, 6, 13, dtype=torch.float64)
    return scaled("widths_1e-6_to_1e6", torch.zeros(13, dtype=torch.float64), sd)


def _mixed_means() -> Known:
    sd = torch.logspace(-6, 6, 7, dtype=torch.float64)
    return scaled("means_and_widths_1e-6_to_1e6", 10 * sd, sd)


def _regression() -> Known:
    """An intercept at 1e6, a slope at 1e-6, and the log of a noise, coupled."""
    sd = torch.tensor([1e5, 1e-6], dtype=torch.float64)
    factor = torch.linalg.cholesky(torch.tensor([[1.0, -0.95], [-0.95, 1.0]], dtype=torch.float64))
    mean = torch.tensor([1e6, 3e-6], dtype=torch.float64)
    return Known(
        "intercept_and_slope",
        "scales",
        2,
        lambda x: -0.5 * torch.linalg.solve_triangular(factor, ((x - mean) / sd).T, upper=False).square().sum(0),
        lambda n, g: mean + sd * (normal(n, 2, g) @ factor.T),
    )


def _small_funnel() -> Known:
    known = funnel(5, 1)
    assert known.draw is not None
    draw = known.draw
    scale = torch.tensor([1.0, 1e-5, 1e-5, 1e5, 1e5], dtype=torch.float64)
    density = lambda x: known.log_density(x / scale)  # noqa: E731
    return Known("funnel_of_scales", "scales", 5, density, lambda n, g: scale * draw(n, g))


SCALES = (
    scaled("width_1e-6", _constant(3, 0), _constant(3, 1e-6)),
    scaled("width_1e6", _constant(3, 0), _constant(3, 1e6)),
    scaled("mean_1e6", _constant(3, 1e6), _constant(3, 1)),
    scaled("mean_1e3_width_1e-3", _constant(2, 1e3), _constant(2, 1e-3)),
    _mixed(),
    _mixed_means(),
    _regression(),
    _small_funnel(),
    student(3, 5, 1e6),
    student(3, 5, 1e-6),
    Known("box_1e-6", "scales", 2, lambda x: -x.sum(1) * 1e6, lambda n, g: _truncated(n, g, 1e-6), "box(0, 1e-6)"),
    Known("box_1e6", "scales", 2, lambda x: -x.sum(1) * 1e-6, lambda n, g: _truncated(n, g, 1e6), "box(0, 1e6)"),
    Known(
        "positive_1e6", "scales", 2, lambda x: -x.sum(1) / 1e6, lambda n, g: -1e6 * uniform(n, 2, g).log(), "positive"
    ),
    Known(
        "positive_1e-6", "scales", 2, lambda x: -x.sum(1) * 1e6, lambda n, g: -1e-6 * uniform(n, 2, g).log(), "positive"
    ),
)


def _truncated(num_rows: int, generator: torch.Generator, scale: float) -> Tensor:
    """Exponential on (0, 1), times `scale`."""
    u = uniform(num_rows, 2, generator)
    return -scale * torch.log1p(u * (torch.tensor(-1.0, dtype=torch.float64).exp() - 1))
