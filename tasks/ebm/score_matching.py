"""Score matching without noise: against a known score (11.2), and implicitly, where no score is known.

With the model's score `s = grad f` and the data's `s*`, integration by parts gives `E|s - s*|^2 = E[|s|^2 + 2 div s] +
E|s*|^2` over rows of the data (Hyvarinen, JMLR 6, 2005): the last term has no weights in it, so both have one
minimiser. Rows need not share a level: `at_levels` makes a noise-conditioned density a plain one.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.ebm.energies import LogDensity

Score = Callable[[Tensor], Tensor]
"""Points [row, dim] -> scores [row, dim], differentiable in the points and in the weights."""


def at_levels(log_density: LogDensity, logit_beta: Float[Tensor, " row"]) -> Callable[[Tensor], Tensor]:
    """The density of each row at its own noise level, as a function of the rows alone."""
    return lambda x: log_density(x, logit_beta)


def score_of(log_density: Callable[[Tensor], Tensor]) -> Score:
    """`s = grad f` of rows that require a gradient, itself differentiable in the weights and the rows."""

    def score(x: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
        (gradient,) = torch.autograd.grad(log_density(x).sum(), x, create_graph=True)
        return gradient

    return score


def explicit(score: Score, rows: Float[Tensor, "row dim"], known: Float[Tensor, "row dim"]) -> Float[Tensor, " row"]:
    """`|s - s*|^2` of each row (11.2), `known` the score `s*` of the data there."""
    return (score(rows.detach().requires_grad_()) - known).square().sum(1)


def implicit(score: Score, rows: Float[Tensor, "row dim"]) -> Float[Tensor, " row"]:
    """`|s|^2 + 2 div s` of each row, with one backward pass a coordinate."""
    rows = rows.detach().requires_grad_()
    s = score(rows)
    return s.square().sum(1) + 2 * torch.stack([_along(s[:, k], rows)[:, k] for k in range(rows.shape[1])]).sum(0)


def sliced(score: Score, rows: Float[Tensor, "row dim"], probes: Float[Tensor, "row dim"]) -> Float[Tensor, " row"]:
    """`|s|^2 + 2 v . grad(v . s)` of each row, with one backward pass.

    Over probes `v` with `E v v' = I`, independent of the rows, its mean is `implicit` (Hutchinson 1990; Song et al.,
    arXiv 1905.07088). Signs of +-1 (`rademacher`) have the smallest variance: that of the off-diagonal of `grad s`.
    """
    rows = rows.detach().requires_grad_()
    s = score(rows)
    return s.square().sum(1) + 2 * (_along((s * probes).sum(1), rows) * probes).sum(1)


def rademacher(uniforms: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
    """Probes of independent fair signs from uniforms in [0, 1)."""
    return torch.where(uniforms < 0.5, -1.0, 1.0).to(uniforms)


def _along(values: Float[Tensor, " row"], rows: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
    (gradient,) = torch.autograd.grad(values.sum(), rows, create_graph=True)
    return gradient
