"""Spreads whole numbers over the reals, so that there is a smooth density to learn; rounding and clipping give them
back.

A value inside the range becomes `v + h U(-1, 1)`, `h` a hair below 1/2, which would round either way. A value at an
end of the range stands for everything that is clipped to it, so it is moved outwards by `N(w, (w/2)^2)`, never
further in than h: an atom such as the black of an image becomes a bump as wide as the noise that a network resolves
with ease. In every training step the numbers are fresh, which also keeps the energy from learning the rows by
heart.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.mcmc.streams import Random

END_WIDTH = 0.7  # w, in standard deviations of the data
HALF = 0.499


class Grid(NamedTuple):
    """The whole numbers of each coordinate in standardised units: their distance (0: none, a real number) and range."""

    step: Float[Tensor, " dim"]
    lowest: Float[Tensor, " dim"]
    highest: Float[Tensor, " dim"]


def dequantise(x: Float[Tensor, "row dim"], grid: Grid, random: Random) -> Float[Tensor, "row dim"]:
    """Real numbers that round and clip to the whole numbers in `x`; coordinates without a grid stay as they are."""
    within = HALF * grid.step * (2 * random.uniform(*x.shape).to(x) - 1)
    beyond = END_WIDTH * (1 + 0.5 * random.normal(*x.shape).to(x))
    beyond = torch.maximum(beyond, -HALF * grid.step)
    near = 0.25 * grid.step  # standardising rounds
    moved = torch.where(x < grid.lowest + near, -beyond, torch.where(x > grid.highest - near, beyond, within))
    return torch.where(grid.step > 0, x + moved, x)
