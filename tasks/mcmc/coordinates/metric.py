"""The metric that chains learn together: the geometric mean of the covariance of the draws and the inverse covariance
of the scores.

On a Gaussian both are the covariance; elsewhere the draws say how wide the target is and the scores how stiff, and this
mean minimises the Fisher divergence between the target and a Gaussian (Seyboldt, Carlson & Carpenter, "Preconditioning
Hamiltonian Monte Carlo by minimizing Fisher divergence"). Both are shrunk towards a multiple of I by Ledoit & Wolf
(Journal of Multivariate Analysis 88, 2004) in the coordinates of the metric so far, so that a few draws improve it and
never lose it. A diagonal metric is the same of each coordinate by itself: `G_i = sqrt(var x_i / var s_i)`.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import LinAlgError  # pyright: ignore[reportPrivateImportUsage]

from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening, identity

NUM_PASSES, LEAST = 5, 0.25
"""A density that vanishes at its edges has `S >= C^-1` (Cramer and Rao), so that every eigenvalue of `C^1/2 S C^1/2` is
1 or more. One that is uniform up to an edge has none of that from its scores: there the draws alone say how wide it is.
"""

Name = Literal["auto", "dense", "diagonal"]


def shrunk_covariance(rows: Float[Tensor, "row dim"]) -> Float[Tensor, "dim dim"]:
    """`(1-r) C + r tr(C)/d I`, C the covariance and r Ledoit & Wolf's estimate of the best shrinkage."""
    centred = rows - rows.mean(0)
    num_rows, dim = rows.shape
    covariance = centred.T @ centred / num_rows
    scale = covariance.trace() / dim
    away = covariance.square().sum() - dim * scale**2
    noise = (centred.square().sum(1).square().mean() - covariance.square().sum()) / num_rows
    shrinkage = (noise / away).clamp(0, 1) if away > 0 else torch.ones_like(away)
    return (1 - shrinkage) * covariance + shrinkage * scale * torch.eye(dim).to(rows)


def power(matrix: Float[Tensor, "dim dim"], exponent: float) -> Float[Tensor, "dim dim"]:
    """A power of a symmetric positive definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    values = values.clamp(min=1e-14 * float(values[-1]))
    return (vectors * values**exponent) @ vectors.T


def geometric_mean(
    covariance: Float[Tensor, "dim dim"], score_covariance: Float[Tensor, "dim dim"], least: float = 0.0
) -> Float[Tensor, "dim dim"]:
    """`G = C^1/2 M^-1/2 C^1/2` with `M = C^1/2 S C^1/2`, the one positive solution of `G S G = C`; the eigenvalues of M
    are `least` or more.
    """
    root = power(covariance, 0.5)
    values, vectors = torch.linalg.eigh(root @ score_covariance @ root)
    values = values.clamp(min=max(least, 1e-14 * float(values[-1])))
    return root @ (vectors * values**-0.5) @ vectors.T @ root


def learn(whitening: Whitening, x: Float[Tensor, "row dim"], score: Float[Tensor, "row dim"]) -> Whitening:
    """`L <- L G^1/2` with G of the draws and scores in the coordinates of L, repeated on the same rows; diagonal where
    L is. Rows that are not finite are left out. L stays as it is where fewer than 2 rows are left, and after the last
    pass whose G was found and left it invertible: any invertible L leaves the target invariant.
    """
    is_finite = x.isfinite().all(1) & score.isfinite().all(1)
    x, score = x[is_finite], score[is_finite]
    if len(x) < 2:
        return whitening
    whitening = Whitening(x.mean(0), whitening.factor)
    if not bool(whitening.mean.isfinite().all()):
        return identity(x.shape[1], x.dtype, whitening.is_diagonal)
    if whitening.is_diagonal:
        factor = (x.var(0) / score.var(0)) ** 0.25
        is_usable = factor.isfinite() & (factor > 0)
        return Whitening(whitening.mean, torch.where(is_usable, factor, whitening.factor))
    for _ in range(NUM_PASSES):
        root = root_of_mean(shrunk_covariance(whitening.to_white(x)), shrunk_covariance(score @ whitening.factor))
        if root is None or not is_invertible(whitening.factor @ root):
            break
        whitening = Whitening(whitening.mean, whitening.factor @ root)
    return whitening


def root_of_mean(
    covariance: Float[Tensor, "dim dim"], score_covariance: Float[Tensor, "dim dim"]
) -> Float[Tensor, "dim dim"] | None:
    """`G^1/2`; None where there is none: finite rows can have squares that are not, and an eigendecomposition may fail
    to converge.
    """
    if not bool(covariance.isfinite().all() & score_covariance.isfinite().all()):
        return None
    try:
        return power(geometric_mean(covariance, score_covariance, LEAST), 0.5)
    except LinAlgError:
        return None


def is_invertible(factor: Float[Tensor, "dim dim"]) -> bool:
    """Whether an affine map can be gone back by, in floating-point numbers."""
    inverse, failed = torch.linalg.inv_ex(factor)
    return int(failed) == 0 and bool(factor.isfinite().all() & inverse.isfinite().all())
