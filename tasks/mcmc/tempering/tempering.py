"""Tempering: a ladder from a wide Gaussian to a density that has no noise ladder of its own.

`f_b(x) = b f(x) + (1-b) ln N(x; 0, s^2 I)`, the geometric path between the two (Neal 2001), at inverse temperature `b`
from 0 to 1. Coordinates should be such that the density lies within a few `s` of 0.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.noise_ladder.annealing import TargetAt


def gaussian(scale: float) -> Target:
    """`N(0, scale^2 I)`, normalised: the end of the ladder from which draws and log Z start."""

    def target(x: Float[Tensor, "chain dim"]) -> tuple[Float[Tensor, " chain"], Float[Tensor, "chain dim"]]:
        squared = (x / scale).square().sum(1)
        return -0.5 * (squared + x.shape[1] * math.log(2 * math.pi * scale**2)), -x / scale**2

    return target


def tempered(target: Target, reference: Target) -> TargetAt:
    """The geometric path from `reference` (`b = 0`) to `target` (`b = 1`)."""

    def target_at(b: float) -> Target:
        # Where f = -inf, 0 * f and (1-b) f would not be numbers; and either end needs one evaluation only.
        if b in (0.0, 1.0):
            return target if b else reference

        def between(x: Tensor) -> tuple[Tensor, Tensor]:
            (value, score), (easy_value, easy_score) = target(x), reference(x)
            return b * value + (1 - b) * easy_value, torch.lerp(easy_score, score, b)

        return between

    return target_at


def tempering_ladder(num_levels: int, lowest: float = 1e-3) -> tuple[float, ...]:
    """Inverse temperatures 0, then `lowest` to 1 in equal factors: what `exchange.respace` starts from."""
    if num_levels < 3:
        raise UsageError(f"a tempering ladder of {num_levels} levels has nothing between its ends; give at least 3")
    return (0.0, *np.geomspace(lowest, 1.0, num_levels - 1).tolist())
