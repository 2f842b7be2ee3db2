"""What a density with known truth is: the function that a user would write, and exact draws to compare with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

LogDensity = Callable[[Tensor], Tensor]
Draw = Callable[[int, torch.Generator], Tensor]


@dataclass(frozen=True)
class Known:
    """A log density [chain, dim] -> [chain] in nats up to a constant. `draw(num_rows, generator)` returns exact rows;
    without it there is no distribution (the density is improper, or undefined inside its support), and only a failure
    is right. Where moments do not exist, quantiles alone are compared.
    """

    name: str
    kind: str
    dim: int
    log_density: LogDensity
    draw: Draw | None = None
    support: str = "real"
    has_mean: bool = True
    has_sd: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    """More keys of `scorefleet sample`, such as `num_levels`."""


def normal(num_rows: int, dim: int, generator: torch.Generator) -> Tensor:
    """Independent N(0, 1), in float64."""
    return torch.randn(num_rows, dim, generator=generator, dtype=torch.float64)


def uniform(num_rows: int, dim: int, generator: torch.Generator) -> Tensor:
    """Independent and uniform on (0, 1), in float64."""
    return torch.rand(num_rows, dim, generator=generator, dtype=torch.float64).clamp(min=1e-300)


def gamma(num_rows: int, shape: float, generator: torch.Generator) -> Tensor:
    """Gamma(shape, 1), [num_rows, 1]."""
    return torch._standard_gamma(torch.full((num_rows, 1), shape, dtype=torch.float64), generator=generator)


def kept(draw: Draw, is_inside: Callable[[Tensor], Tensor]) -> Draw:
    """Rows of `draw` that are inside, by rejection."""

    def inside(num_rows: int, generator: torch.Generator) -> Tensor:
        parts, count = list[Tensor](), 0
        while count < num_rows:
            rows = draw(num_rows, generator)
            parts.append(rows[is_inside(rows)])
            count += len(parts[-1])
        return torch.cat(parts)[:num_rows]

    return inside
