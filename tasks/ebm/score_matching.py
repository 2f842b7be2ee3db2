"""Score matching against a known score (11.2), and implicitly, where no score is known.

With the model's score `s = grad f` and the data's `s*`, integration by parts gives `E|s - s*|^2 = E[|s|^2 + 2 div s] +
E|s*|^2` over rows of the data (Hyvarinen, JMLR 6, 2005): the last term has no weights in it, so both have one
minimiser. Rows need not share a level: `at_levels` makes a noise-conditioned density a plain one.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.ebm.energies import LogDensity
from scorefleet.tasks.ebm.noise import noise_level, signal_level

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


def noised_target(
    known: Float[Tensor, "row dim"],
    noise: Float[Tensor, "row dim"],
    logit_beta: Float[Tensor, " row"],
    information: float,
) -> Float[Tensor, "row dim"]:
    """What the score of noised rows is matched to where the score `s*` of the rows themselves is known:

        s~ = (sqrt(1-beta) s*(x) - sqrt(beta) J eps) / (1-beta + J beta),   E[s~|x'] = S*(x', beta)

    The known score is not that of noised rows, but both `s*(x)/sqrt(1-beta)` (De Bortoli et al., arXiv 2402.08667) and
    `-eps/sqrt(beta)` have the noised one for their mean given x', and so has every mean of the two; the first is good
    at little noise, where this is (11.2), the second at much. `J > 0` sets their shares: with `J = E|s*|^2/d`, which
    is 1/v for rows of N(0, v I), the target of such rows does not vary at all. The rows must be of the density whose
    score is known, which must be smooth and without edges.
    """
    signal, sigma = signal_level(logit_beta)[:, None], noise_level(logit_beta)[:, None]
    return (signal * known - information * sigma * noise) / (signal.square() + information * sigma.square())


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
