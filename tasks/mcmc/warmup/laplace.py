"""The Gaussian at a maximum of a density: `N(x*, (-grad grad f(x*))^-1)`, by differences of scores."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.warmup.mixture import Mixture

NUM_NEWTON, STATIONARY, REACH = 8, 0.01, 1e-2


class Curvature(NamedTuple):
    """Minus the Hessian of f at x, symmetrised, and the score there."""

    matrix: Float[Tensor, "dim dim"]
    score: Float[Tensor, " dim"]


def curvature(target: Target, x: Float[Tensor, " dim"], reach: Float[Tensor, " dim"]) -> Curvature:
    """By central differences over `reach` in each coordinate, `2 dim + 1` rows at once."""
    step = torch.diag(reach)
    _, score = target(torch.cat([x[None], x + step, x - step]))
    ahead, behind = score[1 : 1 + len(x)], score[1 + len(x) :]
    matrix = (behind - ahead) / (2 * reach[:, None])
    return Curvature(0.5 * (matrix + matrix.T), score[0])


def gaussian_at(target: Target, x: Float[Tensor, " dim"], width: Float[Tensor, " dim"]) -> tuple[Mixture | None, int]:
    """The Gaussian at the maximum near x, found by Newton's steps, and the evaluations; None where the density is not
    concave or the steps do not end. `width` is about that of the mode in each coordinate.
    """
    for k in range(NUM_NEWTON):
        at = curvature(target, x, REACH * width)
        factor, failed = torch.linalg.cholesky_ex(at.matrix)
        if failed or not bool(at.score.isfinite().all()):
            return None, k + 1
        step = torch.cholesky_solve(at.score[:, None], factor)[:, 0]
        if float(step @ at.score) < STATIONARY * len(x):
            inverse = torch.cholesky_inverse(factor)
            lower, failed = torch.linalg.cholesky_ex(inverse)
            return (None if failed else Mixture(x.new_zeros(1), (x + step)[None], lower[None])), k + 1
        x, width = x + step, torch.cholesky_inverse(factor).diagonal().sqrt()
    return None, NUM_NEWTON


def cut(value: Float[Tensor, " row"], log_q: Float[Tensor, " row"]) -> Float[Tensor, " row"]:
    """`ln f/q`, -inf where f is no number, and at most the square root of the number of rows times the mean (Ionides,
    J. Comput. Graph. Stat. 17, 2008).
    """
    log_weight = torch.where(value.isfinite(), value - log_q, -torch.inf)
    return log_weight.minimum(log_weight.logsumexp(0) - 0.5 * math.log(len(log_weight)))


def log_mass(value: Float[Tensor, " row"], log_q: Float[Tensor, " row"]) -> float:
    """`ln` of the mean of f/q over draws of q, of weights that are cut."""
    return float(cut(value, log_q).logsumexp(0)) - math.log(len(value))
