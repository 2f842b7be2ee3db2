"""Spreads whole numbers over the reals, so that there is a smooth density to learn; rounding and clipping give them
back.

A value inside the range becomes `v + h U(-1, 1)`, `h` a hair below 1/2, which would round either way. A value at an
end of the range stands for everything that is clipped to it, as in a censored normal law: where a share p of the rows
lies at the end, it is moved beyond the end by `w (z - Z)`, `z` the p-quantile of a standard normal and `Z` that normal
below z. So a rare end is a short tail of what lies inside, and an atom such as the black at an image's border is a
normal of standard deviation w: everything has about the width that the network resolves with ease. In every training
step the numbers are fresh, which also keeps the energy from learning the rows by heart.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.streams import Random

END_WIDTH = 0.8  # w, in standard deviations of the data
HALF = 0.499
SHARES = (0.005, 0.98)  # what a share is taken to be at least and at most


class Grid(NamedTuple):
    """The whole numbers of each coordinate in standardised units: their distance (0: none, a real number) and range,
    and the share of the rows at either end.
    """

    step: Float[Tensor, " dim"]
    lowest: Float[Tensor, " dim"]
    highest: Float[Tensor, " dim"]
    share_lowest: Float[Tensor, " dim"]
    share_highest: Float[Tensor, " dim"]


def grid_of(
    rows: Float[Tensor, "row dim"],
    step: Float[Tensor, " dim"],
    lowest: Float[Tensor, " dim"],
    highest: Float[Tensor, " dim"],
) -> Grid:
    """The grid with the shares that these rows have at its ends."""
    is_lowest, is_highest = _at_ends(rows, step, lowest, highest)
    shares = (is_end.float().mean(0).clamp(*SHARES) for is_end in (is_lowest, is_highest))
    return Grid(step, lowest, highest, *shares)


def dequantise(x: Float[Tensor, "row dim"], grid: Grid, random: Random) -> Float[Tensor, "row dim"]:
    """Real numbers that round and clip to the whole numbers in `x`; coordinates without a grid stay as they are."""
    return _spread(x, grid, random.uniform(*x.shape).to(x).clamp(min=1e-6))


def centre(x: Float[Tensor, "row dim"], grid: Grid) -> Float[Tensor, "row dim"]:
    """The medians of what `dequantise` makes of the whole numbers in `x`."""
    return _spread(x, grid, torch.full_like(x, 0.5))


def _spread(x: Float[Tensor, "row dim"], grid: Grid, uniform: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
    is_lowest, is_highest = _at_ends(x, grid.step, grid.lowest, grid.highest)
    half = HALF * grid.step
    moved = half * (2 * uniform - 1)
    moved = torch.where(is_lowest, -half - _tail(uniform, grid.share_lowest), moved)
    moved = torch.where(is_highest, half + _tail(uniform, grid.share_highest), moved)
    return torch.where(grid.step > 0, x + moved, x)


def log_spread(x: Float[Tensor, "row dim"], spread: Float[Tensor, "row dim"], grid: Grid) -> Float[Tensor, " row"]:
    """Log density of what `dequantise` drew at `spread`, given the whole numbers `x`, over the coordinates that have a
    grid: uniform inside the range, a normal's tail beyond its ends. With it `ln p(spread) - log_spread` bounds the log
    probability that `p` rounds and clips to `x`, in the mean from below (Theis et al., arXiv 1511.01844; Ho et al.,
    arXiv 1902.00275).
    """
    is_lowest, is_highest = _at_ends(x, grid.step, grid.lowest, grid.highest)
    half, beyond = HALF * grid.step, (spread - x).abs()
    log_density = -(2 * half).log().expand_as(x)
    log_density = torch.where(is_lowest, _log_tail(beyond - half, grid.share_lowest), log_density)
    log_density = torch.where(is_highest, _log_tail(beyond - half, grid.share_highest), log_density)
    return torch.where(grid.step > 0, log_density, 0.0).sum(1)


def _log_tail(distance: Tensor, share: Float[Tensor, " dim"]) -> Tensor:
    """Log density of `_tail` at `distance`: `ln N(z) - ln(w p)` at `z = Z - distance/w`, Z the p-quantile."""
    z = torch.special.ndtri(share) - distance / END_WIDTH
    return -0.5 * (z.square() + math.log(2 * math.pi)) - (END_WIDTH * share).log()


def _tail(uniform: Tensor, share: Float[Tensor, " dim"]) -> Tensor:
    """`w (z - Z)`, `Z` a standard normal below its `share`-quantile z."""
    return END_WIDTH * (torch.special.ndtri(share) - torch.special.ndtri(share * uniform))


def _at_ends(x: Tensor, step: Tensor, lowest: Tensor, highest: Tensor) -> tuple[Tensor, Tensor]:
    near = 0.25 * step  # standardising rounds
    return x < lowest + near, x > highest - near
