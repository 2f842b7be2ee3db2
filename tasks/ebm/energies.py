"""Noise-conditioned log densities `f(x', t)`, `p = exp f / Z` (11.1), on top of a network.

Sign: `f` is the log density, `energy = -f`, both in nats; the score is `S = grad_x' f`. Each form adds to the
*anchor*, the log density of N(0, I), which is the law of standardised Gaussian data at every noise level in the
coordinates of (11.4), and which every data set tends to as beta -> 1. The network is divided by `sigma = exp(t/2)`,
so there the anchor is all that is left.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasks.ebm.networks import ResidualMLP

LogDensity = Callable[[Tensor, Tensor], Tensor]
EnergyName = Literal["scalar_head", "inner_product"]


def anchor(x: Float[Tensor, "row dim"]) -> Float[Tensor, " row"]:
    """Log density of N(0, I): `-|x'|^2/2 - (d/2) ln 2 pi`."""
    return -0.5 * x.square().sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)


class ScalarHead(nn.Module):
    """`f = anchor(x') + g(t) h(x', t)`, a network `h` with one output."""

    def __init__(self, dim: int, width: int, num_blocks: int, dropout: float, num_conditions: int):
        super().__init__()
        self.network = ResidualMLP(dim, 1, width, num_blocks, dropout, num_conditions)

    def forward(
        self,
        x: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None = None,
    ) -> Float[Tensor, " row"]:
        return anchor(x) + torch.exp(-logit_beta / 2) * self.network(x, logit_beta, condition)[:, 0]


class InnerProduct(nn.Module):
    """`f = anchor(x') + <x', F(x', t)> / sigma`, a network `F` with an output a coordinate."""

    def __init__(self, dim: int, width: int, num_blocks: int, dropout: float, num_conditions: int):
        super().__init__()
        self.network = ResidualMLP(dim, dim, width, num_blocks, dropout, num_conditions)

    def forward(
        self,
        x: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None = None,
    ) -> Float[Tensor, " row"]:
        return anchor(x) + torch.exp(-logit_beta / 2) * (x * self.network(x, logit_beta, condition)).sum(1)


ENERGIES: dict[EnergyName, type[nn.Module]] = {"scalar_head": ScalarHead, "inner_product": InnerProduct}


def value_and_score(
    log_density: LogDensity, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]
) -> tuple[Float[Tensor, " row"], Float[Tensor, "row dim"]]:
    """`(f, S = grad_x' f)` of each row, with one forward and one backward pass."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = log_density(x, logit_beta)
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score
