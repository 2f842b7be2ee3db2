"""Noise-conditioned log densities `f(x', t)`, `p = exp f / Z` (11.1), on top of a network.

Sign: `f` is the log density, `energy = -f`, both in nats; the score is `S = grad_x' f`. Each form adds a network to an
*anchor*, a normalised Gaussian log density that is right already where noise hides everything else.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from scorefleet.tasks.ebm.networks import ResidualMLP

LogDensity = Callable[[Tensor, Tensor], Tensor]
EnergyName = Literal["scalar_head", "inner_product"]
NetworkName = Literal[EnergyName, "score_only"]


def anchor(x: Float[Tensor, "row dim"]) -> Float[Tensor, " row"]:
    """Log density of N(0, I): `-|x'|^2/2 - (d/2) ln 2 pi`."""
    return -0.5 * x.square().sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)


class GaussianAnchor(nn.Module):
    """Log density of `N(0, V)`, `V = (1-beta) C + beta I`, `C` the covariance of the rows: exact for Gaussian rows."""

    basis: Tensor
    variances: Tensor

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("basis", torch.eye(dim))
        self.register_buffer("variances", torch.ones(dim))

    def fit(self, rows: Float[Tensor, "row dim"]) -> None:
        """Take the principal axes of the rows and the variances along them."""
        variances, basis = torch.linalg.eigh(torch.cov(rows.double().T).reshape(rows.shape[1], -1))
        self.basis.copy_(basis)
        self.variances.copy_(variances.clamp(min=0))

    def forward(
        self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, "row dim"]]:
        """The log density, and `V^(-1/2) x'` along the principal axes, which is N(0, I) for Gaussian rows."""
        beta = torch.sigmoid(logit_beta)[:, None]
        variance = (1 - beta) * self.variances + beta
        white = x @ self.basis / variance.sqrt()
        return anchor(white) - 0.5 * variance.log().sum(1), white


class Energy(nn.Module):
    """A log density with a network in it: `(x', t) -> f(x', t)`, a number a row, in nats."""

    def fit_anchor(self, rows: Float[Tensor, "row dim"]) -> None:
        """Fit what training starts from; nothing where the anchor is N(0, I), the law of all rows under much noise."""


class ScalarHead(Energy):
    """`f = ln N(x'; 0, V) + h(V^(-1/2) x', t)`, a network `h` with one output: bounded, for densities without sharp
    edges.
    """

    def __init__(self, dim: int, width: int, num_blocks: int, dropout: float, num_conditions: int):
        super().__init__()
        self.anchor = GaussianAnchor(dim)
        self.network = ResidualMLP(dim, 1, width, num_blocks, dropout, num_conditions)

    def fit_anchor(self, rows: Float[Tensor, "row dim"]) -> None:
        """Fit the Gaussian that training starts from."""
        self.anchor.fit(rows)

    def forward(
        self,
        x: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None = None,
    ) -> Float[Tensor, " row"]:
        gaussian, white = self.anchor(x, logit_beta)
        return gaussian + self.network(white, logit_beta, condition)[:, 0]


class InnerProduct(Energy):
    """`f = ln N(x'; 0, I) + <x', F(x', t)> / sigma`, a network `F` with an output a coordinate and `sigma = exp(t/2)`:
    sharp, for images and other rows that lie near a thin surface.
    """

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


class ScoreOnly(nn.Module):
    """`S = -x' + F(x', t) / sqrt(beta)`, a network `F` with an output a coordinate: a score that is the gradient of no
    density, and so without a value; `(x', t) -> S [row, dim]`.
    """

    def __init__(self, dim: int, width: int, num_blocks: int, dropout: float, num_conditions: int):
        super().__init__()
        self.network = ResidualMLP(dim, dim, width, num_blocks, dropout, num_conditions)

    def fit_anchor(self, rows: Float[Tensor, "row dim"]) -> None:
        """Nothing: training starts from the score of N(0, I)."""

    def forward(
        self,
        x: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None = None,
    ) -> Float[Tensor, "row dim"]:
        return self.network(x, logit_beta, condition) * torch.sigmoid(logit_beta).rsqrt()[:, None] - x


ENERGIES: dict[EnergyName, Callable[[int, int, int, float, int], Energy]] = {
    "scalar_head": ScalarHead,
    "inner_product": InnerProduct,
}
NETWORKS: dict[NetworkName, Callable[[int, int, int, float, int], Energy | ScoreOnly]] = {
    **ENERGIES,
    "score_only": ScoreOnly,
}


def value_and_score(
    log_density: LogDensity, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]
) -> tuple[Float[Tensor, " row"], Float[Tensor, "row dim"]]:
    """`(f, S = grad_x' f)` of each row, with one forward and one backward pass."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = log_density(x, logit_beta)
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score
