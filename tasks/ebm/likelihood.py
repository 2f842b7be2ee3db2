"""Held-out log-likelihood of a noise-conditioned energy, two ways that share nothing but the energy.

What is scored is the density `q` of `x + sigma eps`, `sigma^2 = beta/(1-beta)`, at a row `x` of (standardised) data:
`ln q(x) = ln p(sqrt(1-beta) x, t) + (d/2) ln(1-beta)`, a normalised density over the data for each `t = logit beta`.

- *Normalised energy*: `ln p = f - log Z(t)`, with log Z from `mcmc.noise_ladder.smc`. Sees a wrong weight of modes.
- *Probability flow* (Song et al., arXiv 2011.13456, section 4.3; Chen et al., arXiv 1806.07366): uses scores alone, at
  all levels, and needs no log Z. Where energies are exact and normalised the two agree.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.ebm.dequantise import Grid, log_spread
from scorefleet.tasks.ebm.energies import LogDensity, anchor
from scorefleet.tasks.ebm.noise import LOGIT_BETA_MAX, signal_level
from scorefleet.tasks.errors import UsageError

MAX_EXACT_DIM = 64  # the exact divergence takes a backward pass a dimension


class Units(NamedTuple):
    """How standardised coordinates came about: `(x - location)/scale`, and which of them are whole numbers."""

    scale: Float[Tensor, " dim"]
    grid: Grid


Flow = Callable[[Tensor, float], tuple[Tensor, Tensor]]
"""Points at a level `t` -> (velocity [row, dim], its divergence [row])."""


def by_normalised_energy(
    log_density: LogDensity, rows: Float[Tensor, "row dim"], logit_beta: float, log_z: float
) -> Float[Tensor, " row"]:
    """`ln q(x) = f(sqrt(1-beta) x, t) - log Z(t) + (d/2) ln(1-beta)`, in nats."""
    with torch.no_grad():
        t = torch.full((len(rows),), logit_beta).to(rows)
        return log_density(_scaled(rows, logit_beta), t) - log_z + _log_jacobian(rows, logit_beta)


def by_probability_flow(
    log_density: LogDensity, rows: Float[Tensor, "row dim"], logit_beta: float, num_steps: int = 64
) -> Float[Tensor, " row"]:
    """`ln q(x) = ln N(x_T; 0, I) + int div v dt + (d/2) ln(1-beta)`, in nats, with the flow followed from `t` to pure
    noise by the classical Runge-Kutta method: its error falls with the fourth power of `num_steps`. That all rows end
    in N(0, I) supposes standardised data: a mean `m` leaves an error of about `|m|/50` nats in a row.
    """
    if rows.shape[1] > MAX_EXACT_DIM:
        raise UsageError(
            f"the probability flow of rows with {rows.shape[1]} dimensions needs as many backward passes a step; "
            f"at most {MAX_EXACT_DIM} are taken: use the normalised energy"
        )
    x, gained = _scaled(rows, logit_beta), torch.zeros_like(rows[:, 0])
    step = (LOGIT_BETA_MAX - logit_beta) / num_steps
    for k in range(num_steps):
        x, increment = _runge_kutta(flow_of(log_density), x, logit_beta + k * step, step)
        gained = gained + increment
    return anchor(x) + gained + _log_jacobian(rows, logit_beta)


def of_data(
    log_q: Float[Tensor, " row"], rows: Float[Tensor, "row dim"], spread: Float[Tensor, "row dim"], units: Units
) -> Float[Tensor, " row"]:
    """The log-likelihood of data in the user's units, from `log_q = ln q(spread)` of their `rows` in standardised
    coordinates: `ln q - sum ln scale` over real numbers, whose density is one per unit of each; whole numbers count
    with the probability that q rounds and clips to them, of which this is a lower bound in the mean.
    """
    is_real = units.grid.step == 0
    return log_q - log_spread(rows, spread, units.grid) - units.scale[is_real].log().sum()


def bits_per_dimension(log_likelihood: Float[Tensor, " row"], dim: int) -> Float[Tensor, " row"]:
    """`-ln P / (d ln 2)`: what a code for the whole numbers of a row costs (8 for uniform bytes)."""
    return -log_likelihood / (dim * math.log(2))


def flow_of(log_density: LogDensity) -> Flow:
    """`v = dx'/dt = -(beta/2)(x' + S(x', t))`, whose flow carries the density of one level into that of the next, and
    `div v = -(beta/2)(d + tr grad S)`, exactly.
    """

    def flow(x: Float[Tensor, "row dim"], t: float) -> tuple[Float[Tensor, "row dim"], Float[Tensor, " row"]]:
        half_beta = 0.5 / (1 + math.exp(-t))
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = log_density(x, torch.full((len(x),), t).to(x))
            (score,) = torch.autograd.grad(value.sum(), x, create_graph=True)
            # Row k of the identity, for every point at once: the k-th row of the Hessian.
            eye = torch.eye(x.shape[1]).to(x)[:, None].expand(-1, *x.shape)
            (hessian,) = torch.autograd.grad(score, x, eye, is_grads_batched=True)
            trace = hessian.diagonal(dim1=0, dim2=2).sum(1)
        return -half_beta * (x + score).detach(), -half_beta * (x.shape[1] + trace).detach()

    return flow


def _runge_kutta(flow: Flow, x: Tensor, t: float, step: float) -> tuple[Tensor, Tensor]:
    """One step of the classical method, for points and the integral of the divergence."""
    v1, div1 = flow(x, t)
    v2, div2 = flow(x + step / 2 * v1, t + step / 2)
    v3, div3 = flow(x + step / 2 * v2, t + step / 2)
    v4, div4 = flow(x + step * v3, t + step)
    return x + step / 6 * (v1 + 2 * v2 + 2 * v3 + v4), step / 6 * (div1 + 2 * div2 + 2 * div3 + div4)


def _scaled(rows: Tensor, logit_beta: float) -> Tensor:
    """`sqrt(1-beta) x`."""
    return rows * signal_level(torch.tensor(logit_beta, dtype=torch.float64)).to(rows)


def _log_jacobian(rows: Tensor, logit_beta: float) -> float:
    """`(d/2) ln(1-beta)`."""
    return -0.5 * rows.shape[1] * math.log1p(math.exp(logit_beta))
