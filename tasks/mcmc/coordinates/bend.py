"""A triangular map (`triangular`) of draws: for scales that depend on another coordinate (a funnel) and means that
follow its square (a banana).

In an order of the coordinates, coordinate `i` of x is

    x_i = a_i + sum_j<i (A_ij x_j + B_ij z_j^2) + exp(c_i + sum_j<i C_ij z_j) z_i.

It is fitted so that z is near N(0, I): for each i in turn, a regression whose mean and log scale both depend on the z
before it (Harvey, Econometrica 44, 1976). For a funnel it is the non-centred parametrisation, which nobody has to write
(Papaspiliopoulos et al., Stat. Sci. 22, 2007).

Whether the draws ask for a term of B or C is a t statistic of its mean over each chain: those are kept that
are larger than chance would make all but two of them, and without any beyond 4 there is no bend at all.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from scipy import special
from torch import Tensor

from scorefleet.tasks.mcmc.coordinates.triangular import Triangular

SURE, NUM_PASSES, LARGEST_SLOPE, RIDGE, SMALLEST = 4.0, 8, 3.0, 1e-6, 1e-3


def ordering(x: Float[Tensor, "row dim"]) -> Int[Tensor, " dim"]:
    """Coordinates that others depend on come first.

    With r_j what a linear regression on all others leaves of x_j, coordinate i explains j by the squared correlations
    of x_i with `ln |r_j|` and of x_i^2 with r_j; those that explain more than they are explained lead.
    """
    z = (x - x.mean(0)) / x.std(0)
    precision = torch.linalg.inv(torch.cov(z.T) + RIDGE * torch.eye(z.shape[1]).to(z))
    residual = z @ precision / precision.diagonal().sqrt()
    size = (residual.abs() + SMALLEST).log()
    explains = _correlation(z, size).square() + _correlation(z.square(), residual).square()
    explains.fill_diagonal_(0)
    return (explains.sum(0) - explains.sum(1)).argsort(stable=True)


def fit(x: Float[Tensor, "draw chain dim"]) -> Triangular | None:
    """The bend of draws of many chains; None where no coordinate bends another, or draws are too far apart or too equal
    for the numbers of a regression.
    """
    rows = x.reshape(-1, x.shape[2])
    if not bool((rows.std(0) > 0).all() & rows.var(0).isfinite().all()):
        return None
    order, dim = ordering(rows), x.shape[2]
    rows, z, linear, is_bent = rows[:, order], torch.zeros_like(rows), x.new_zeros(dim, dim), False
    # Of all squares and slopes about two are beyond this by chance.
    likely = -float(special.ndtri(1 / max(dim * (dim - 1), 3)))
    shift, square, log_scale, slope = (x.new_zeros(shape) for shape in ((dim,), (dim, dim), (dim,), (dim, dim)))
    for i in range(dim):
        line = _regress(rows[:, :i], z[:, :i], rows[:, i], x.shape[1], likely)
        shift[i], log_scale[i], slope[i, :i] = line.mean[0], line.log_scale[0], line.log_scale[1:]
        linear[i, :i], square[i, :i] = line.mean[1 : i + 1], line.mean[i + 1 :]
        z[:, i], is_bent = line.residual, is_bent or line.is_bent
    one = torch.eye(dim).to(x)
    inverse = torch.linalg.solve_triangular(one - linear, one, upper=False, unitriangular=True)  # zeros stay zeros
    factor = inverse[order.argsort()]
    bent = Triangular(factor @ shift, factor, log_scale, slope, torch.diag_embed(square), torch.zeros_like(shift))
    return bent if is_bent and all(bool(part.isfinite().all()) for part in bent) else None


class Line(NamedTuple):
    """Coefficients of the mean (1, x, z^2) and of the log scale (1, z), the residuals in units of it, and whether it is
    surely bent."""

    mean: Tensor
    log_scale: Tensor
    residual: Float[Tensor, " row"]
    is_bent: bool


def _regress(
    x: Float[Tensor, "row before"],
    z: Float[Tensor, "row before"],
    y: Float[Tensor, " row"],
    num_chains: int,
    likely: float,
) -> Line:
    """Weighted least squares for the mean and Fisher scoring for the log scale, in turn."""
    num_rows, before = z.shape
    ones = z.new_ones(num_rows, 1)
    mean_terms, scale_terms = torch.cat([ones, x, z.square()], 1), torch.cat([ones, z], 1)
    is_mean = torch.ones(1 + 2 * before, dtype=torch.bool)
    is_mean[1 + before :] = False
    is_scale = torch.zeros(1 + before, dtype=torch.bool)
    is_scale[0], is_bent = True, False
    mean, log_scale = z.new_zeros(1 + 2 * before), z.new_zeros(1 + before)
    log_scale[0] = y.std().clamp(min=1e-300).log()
    for k in range(NUM_PASSES):
        scale = (scale_terms @ log_scale).exp()
        mean[is_mean] = _least_squares(mean_terms[:, is_mean] / scale[:, None], y / scale)
        residual = (y - mean_terms @ mean) / scale
        if k < NUM_PASSES // 2:
            # What is left in the residuals says which terms are missing, first of the scale and then of the mean.
            of_mean = _t_statistics(residual[:, None] * (z.square() - 1), num_chains)
            is_mean[1 + before :] |= of_mean > likely
            left = _log_size(residual)
            of_scale = _t_statistics((left - left.mean())[:, None] * z, num_chains)
            is_scale[1:] |= of_scale > likely
            is_bent |= bool((of_scale > SURE).any() | (of_mean > SURE).any())
        else:
            left = 0.5 * (residual.square().clamp(max=25) - 1)
        step = _least_squares(scale_terms[:, is_scale], left)
        log_scale[is_scale] += step.clamp(-1, 1)
        log_scale[1:].clamp_(-LARGEST_SLOPE, LARGEST_SLOPE)
    residual = (y - mean_terms @ mean) / (scale_terms @ log_scale).exp()
    spread = residual.square().mean().sqrt()
    log_scale[0] += spread.log()
    return Line(mean, log_scale, residual / spread, is_bent)


def _log_size(residual: Float[Tensor, " row"]) -> Float[Tensor, " row"]:
    """`ln |r|` less its mean of a standard normal: unlike squares, its tail is light."""
    return (residual.abs() + SMALLEST).log() + 0.635


def _t_statistics(product: Float[Tensor, "row term"], num_chains: int) -> Float[Tensor, " term"]:
    """Size of the mean over chains in units of its standard error."""
    if product.shape[1] == 0:
        return product.new_zeros(0)
    means = product.reshape(len(product) // num_chains, num_chains, product.shape[1]).mean(0)
    return means.mean(0).abs() / (means.std(0) / math.sqrt(num_chains)).clamp(min=1e-300)


def _least_squares(terms: Float[Tensor, "row term"], y: Float[Tensor, " row"]) -> Float[Tensor, " term"]:
    gram = terms.T @ terms
    gram.diagonal().mul_(1 + RIDGE)
    return torch.linalg.solve_ex(gram, terms.T @ y)[0]  # not finite where there is no solution, and then no bend


def _correlation(a: Float[Tensor, "row dim"], b: Float[Tensor, "row dim"]) -> Float[Tensor, "dim dim"]:
    """Of each column of a with each column of b."""
    a, b = ((c - c.mean(0)) / c.std(0) for c in (a, b))
    return a.T @ b / len(a)
