"""Separate modes: near and far, wide and narrow, equal and not."""

import math
from typing import Any

import torch
from torch import Tensor

from benchmarks.known.known import Known, normal, uniform


def mixture(name: str, weights: Tensor, means: Tensor, widths: Tensor, kind: str = "modes", **options: Any) -> Known:
    """`sum_k w_k N(mean_k, width_k^2 I)`."""
    weights, means, widths = (part.double() for part in (weights / weights.sum(), means, widths))
    dim = means.shape[1]

    def log_density(x: Tensor) -> Tensor:
        squared = ((x[:, None] - means) / widths[:, None]).square().sum(2)
        return (weights.log() - dim * widths.log() - 0.5 * squared).logsumexp(1)

    def draw(num_rows: int, generator: torch.Generator) -> Tensor:
        mode = torch.multinomial(weights, num_rows, replacement=True, generator=generator)
        return means[mode] + widths[mode, None] * normal(num_rows, dim, generator)

    return Known(name, kind, dim, log_density, draw, options=options)


def two(distance: float, dim: int, width: float = 1.0, weight: float = 0.5, **options: Any) -> Known:
    """N(0, I) and N(mu, width^2 I) at a distance, along the diagonal."""
    means = torch.stack([torch.zeros(dim), torch.full((dim,), distance / math.sqrt(dim))])
    words = [f"two_{distance:g}_{dim}d"]
    words += [f"width_{width:g}"] if width != 1 else []
    words += [f"weight_{weight:g}"] if weight != 0.5 else []
    words += [f"{key.removeprefix('num_')}_{value}" for key, value in options.items()]
    return mixture("_".join(words), torch.tensor([1 - weight, weight]), means, torch.tensor([1.0, width]), **options)


def _grid() -> Known:
    axis = torch.arange(-2.0, 3.0) * 5
    means = torch.cartesian_prod(axis, axis)
    return mixture("grid_of_25", torch.ones(25), means, torch.ones(25))


def _ring() -> Known:
    angle = torch.arange(8) * math.pi / 4
    return mixture("ring_of_8", torch.ones(8), 10 * torch.stack([angle.cos(), angle.sin()], 1), torch.full((8,), 0.5))


def _forty() -> Known:
    means = 80 * (uniform(40, 2, torch.Generator().manual_seed(0)) - 0.5)
    return mixture("forty", torch.ones(40), means, torch.full((40,), 1.313), num_levels=8)


def _spikes() -> Known:
    """A whole number blurred: binomial(20, .5) with a width of .02."""
    count = torch.arange(21.0)
    weights = torch.tensor([math.comb(20, k) for k in range(21)], dtype=torch.float64)
    return mixture("integer_spikes", weights, count[:, None], torch.full((21,), 0.02), "spikes")


def _coin() -> Known:
    """Nearly discrete: 0 or 1 with a width of .01, in each of 2 coordinates."""
    means = torch.cartesian_prod(torch.arange(2.0), torch.arange(2.0))
    return mixture("two_coins", torch.tensor([1.0, 2, 3, 4]), means, torch.full((4,), 0.01), "spikes")


MODES = (
    two(6, 2),
    two(20, 2),
    two(20, 2, weight=0.1),
    two(40, 10),
    two(40, 10, num_levels=8),
    two(8, 2, 0.01),
    two(8, 2, 0.01, num_levels=8),
    two(8, 2, 0.01, 0.9),
    two(10, 5, 0.1, 0.3),
    two(0, 3, 0.01),
    two(100, 2, num_levels=8),
    mixture("three_widths_5d", torch.ones(3), 5 * torch.eye(3, 5), torch.tensor([1.0, 0.3, 3.0])),
    _grid(),
    _ring(),
    _forty(),
    _spikes(),
    _coin(),
)
