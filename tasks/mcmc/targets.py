"""Densities to sample, made from log densities."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import Target

LogDensity = Callable[[Tensor], Tensor]
"""Points [chain, dim] -> log density [chain] in nats, up to a constant; differentiable, each row by itself."""


def from_log_density(log_density: LogDensity) -> Target:
    """`(f, grad f)` of each row, by one forward and one backward pass."""

    def target(x: Float[Tensor, "chain dim"]) -> tuple[Float[Tensor, " chain"], Float[Tensor, "chain dim"]]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = log_density(x)
            (score,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), score

    return target
