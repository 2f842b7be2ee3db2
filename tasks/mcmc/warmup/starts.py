"""Finds points where chains can start: where the density and its gradient are finite.

A cold start is uniform on (-2, 2), which densities that are zero or undefined in most of space seldom meet. Points are
then tried in batches of as many as there are chains: near 0; at one scale from 1e-6 to 1e6; at a scale of each
coordinate's own; and about a point whose coordinates are equal. A third of them have their coordinates sorted, and a
third sorted downwards, which ordered vectors need. What is found is where the warm-up begins, and weighs nothing.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.streams import Random, Stream

SEARCH, NEARBY = 7, 8
"""Phases of the warm-up's stream that the warm-up itself does not use before its windows end."""

MOST_BATCHES, ENOUGH_BATCHES, LOG_RANGE = 1000, 100, 6 * math.log(10)


def is_finite_at(target: Target, x: Float[Tensor, "chain dim"]) -> Bool[Tensor, " chain"]:
    """Whether density and gradient are finite at each point."""
    value, score = target(x)
    return value.isfinite() & score.isfinite().all(1) & x.isfinite().all(1)


def find(stream: Stream, target: Target, x: Float[Tensor, "chain dim"]) -> Float[Tensor, "chain dim"]:
    """`x` with other points for those rows where the density is not finite; as it is where no finite point is found.

    Once there are some, and 100 batches have been tried, points near those are tried as well.
    """
    is_good = is_finite_at(target, x)
    if bool(is_good.all()):
        return x
    found, missing = x[is_good], int((~is_good).sum())
    for k in range(MOST_BATCHES):
        if len(found) >= len(x):
            break
        is_near = k >= ENOUGH_BATCHES and len(found) > 0
        tried = near(stream.at(NEARBY, k), found, len(x)) if is_near else anywhere(stream.at(SEARCH, k), *x.shape)
        found = torch.cat([found, tried[is_finite_at(target, tried)]])
    others = found[len(x) - missing :]
    others = others if len(others) else found
    if not len(others):
        return x
    filled = x.clone()
    filled[~is_good] = others[torch.arange(missing) % len(others)]
    return filled


def anywhere(random: Random, num_rows: int, dim: int) -> Float[Tensor, "row dim"]:
    """Points of all scales, some of them sorted."""
    z, u = random.normal(num_rows, dim).double(), random.uniform(num_rows, dim + 3)
    wide = (LOG_RANGE * (2 * u - 1)).exp()
    kind = torch.arange(num_rows)[:, None]
    near, alike = 10 ** (2 * u[:, :1] - 0.5) * z, wide[:, 1:2] * (u[:, :1] - 0.5).sign() + wide[:, 2:3] * z
    x = torch.stack([near, wide[:, :1] * z, wide[:, 3:] * z, alike])[kind[:, 0] % 4, kind[:, 0]]
    turn = kind // 4 % 3
    x = torch.where(turn == 1, x.sort(1).values, x)
    return torch.where(turn == 2, x.sort(1, descending=True).values, x)


def near(random: Random, found: Float[Tensor, "some dim"], num_rows: int) -> Float[Tensor, "row dim"]:
    """Points about some that were found, at distances from 1e-6 to 1e6."""
    at = found[torch.arange(num_rows) % len(found)]
    z, u = random.normal(*at.shape).double(), random.uniform(num_rows, 1)
    return at + (LOG_RANGE * (2 * u - 1)).exp() * z
