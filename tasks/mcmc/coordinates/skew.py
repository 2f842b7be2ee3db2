"""The third order of a density that is nearly normal, straightened by a triangular map that scores determine.

Where `ln p = const - |w|^2/2 + T[w, w, w]/6 + ...`, the score is `b - A w + T[w, w]/2`: a linear regression with hardly
any noise, for scores are exact and what is left is of higher order. In the axes along which T is largest (its
higher-order singular vectors: De Lathauwer, De Moor & Vandewalle, SIAM J. Matrix Anal. Appl. 21, 2000) the map
`y = z + q(z)` with

    q_i(z) = sum_j,k<i T_ijk z_j z_k/2 + sum_j<i T_iij z_j z_i/2 + T_iii z_i^2/6

makes `-z.q(z)` cancel T, for every monomial of the third order has one last coordinate; the second sum is a slope of
log scales and the third a skew, which keep the map invertible (`triangular`).

A skew stretches one tail and squeezes the other, of which the third order says nothing: by `exp LARGEST_SKEW` at most,
so that jumps still reach tails that are exponential on both sides.

It is kept where the third order is most of what is not normal: where the Fisher divergence from N(0, I),
`E|s(z) + z|^2`, is halved on half of the chains with the map of the other half, and falls by WORTH_IT or more.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import LinAlgError  # pyright: ignore[reportPrivateImportUsage]

from scorefleet.tasks.mcmc.coordinates import metric
from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening, identity
from scorefleet.tasks.mcmc.coordinates.triangular import WIDTH, Triangular
from scorefleet.tasks.mcmc.kernels.metropolis import State

WORTH_IT, ROWS_A_TERM, LARGEST_SKEW, RIDGE = 0.03, 2, 0.2, 1e-9


def fit(
    whitening: Whitening, x: Float[Tensor, "draw chain dim"], score: Float[Tensor, "draw chain dim"]
) -> Triangular | None:
    """The map on top of a whitening, from draws and scores of many chains in its outer coordinates; None where the
    density asks for none, the draws are too few to tell, or the third order cannot be computed.
    """
    halves = ((x[:, k::2].flatten(0, 1), score[:, k::2].flatten(0, 1)) for k in (0, 1))
    seen, held_out = (State(rows, rows[:, 0], of_rows) for rows, of_rows in halves)
    dim = x.shape[2]
    if len(seen.x) < ROWS_A_TERM * (1 + dim) * (2 + dim) / 2:
        return None
    try:
        straight = of_scores(whitening, seen.x, seen.score).pull_state(held_out)
        before = divergence(whitening, held_out.x, held_out.score)
        after = divergence(identity(dim, x.dtype), straight.x, straight.score)
        if not after < min(before / 2, before - WORTH_IT):
            return None
        skewed = of_scores(whitening, x.flatten(0, 1), score.flatten(0, 1))
    except LinAlgError:  # a third order that is not finite, or whose axes are not found
        return None
    return skewed if all(bool(part.isfinite().all()) for part in skewed) else None


def divergence(whitening: Whitening, x: Float[Tensor, "row dim"], score: Float[Tensor, "row dim"]) -> float:
    """`E|s(w) + w|^2` in the white coordinates that the rows themselves ask for."""
    whitening = metric.learn(whitening, x, score)
    return float((whitening.to_white(x) + whitening.pull_score(score)).square().sum(1).mean())


def of_scores(whitening: Whitening, x: Float[Tensor, "row dim"], score: Float[Tensor, "row dim"]) -> Triangular:
    """The map that cancels the third order."""
    third = third_order(whitening.to_white(x), whitening.pull_score(score))
    dim = len(third)
    axes = torch.linalg.svd(third.reshape(dim, -1), full_matrices=False)[0]
    third = torch.einsum("ijk,ia,jb,kc->abc", third, axes, axes, axes)
    before = torch.ones(dim, dim).to(x).tril(-1)
    slope = 0.5 * third.diagonal(dim1=0, dim2=1).T * before
    square = 0.5 * third * before[:, :, None] * before[:, None, :]
    skew = (third.diagonal(dim1=0, dim2=1).diagonal() / (3 * MEAN_CURVATURE)).asinh().clamp(-LARGEST_SKEW, LARGEST_SKEW)
    return Triangular(whitening.mean, whitening.factor @ axes, x.new_zeros(dim), slope, square, skew)


def third_order(w: Float[Tensor, "row dim"], score: Float[Tensor, "row dim"]) -> Float[Tensor, "dim dim dim"]:
    """The symmetric T of `s = b - A w + T[w, w]/2`, by least squares."""
    dim = w.shape[1]
    one, two = torch.triu_indices(dim, dim)
    terms = torch.cat([torch.ones_like(w[:, :1]), w, w[:, one] * w[:, two]], 1)
    gram = terms.T @ terms
    gram.diagonal().mul_(1 + RIDGE)
    of_pairs = torch.linalg.solve_ex(gram, terms.T @ score)[0][1 + dim :]
    third = w.new_zeros(dim, dim, dim)
    third[one, two] += of_pairs
    third[two, one] += of_pairs
    turned = (0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)
    return torch.stack([third.permute(axes) for axes in turned]).mean(0)


def _mean_curvature() -> float:
    """`E w^2/(w^2 + z^2)^(3/2)` of a standard normal z."""
    z = torch.linspace(-8, 8, 1601, dtype=torch.float64)
    weight = (-0.5 * z.square()).exp()
    return float((weight * WIDTH**2 * (WIDTH**2 + z.square()) ** -1.5).sum() / weight.sum())


MEAN_CURVATURE = _mean_curvature()
