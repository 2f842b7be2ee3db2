"""How far chains are from each other while they are drawn, from sums that add up: nobody keeps the draws.

A *piece* is the part of a chain that one segment holds. Over all pieces

    R-hat = sqrt(1 + B/W),

B being the variance of their means and W the mean of their variances: nested R-hat with one chain a superchain
(Margossian et al., Bayesian Analysis 2024, arXiv 2110.13017). Pieces of one chain count as chains, as in split R-hat,
so a chain that drifts is seen too. Of pieces of n independent draws it is near `sqrt(1 + 1/n)`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MIN_DRAWS = 4
"""Draws of a piece that say something of its variance."""


class Moments(NamedTuple):
    """Of some pieces: how many; by coordinate the mean of their means, the sum of the squares of their means about it,
    and the sum of their variances.
    """

    num_pieces: int
    mean: Float[np.ndarray, " dim"]
    between: Float[np.ndarray, " dim"]
    within: Float[np.ndarray, " dim"]

    @property
    def worst_rhat(self) -> float | None:
        """Of the coordinate where it is largest; None of a single piece, or of pieces that never moved."""
        if self.num_pieces < 2 or not self.within.all():
            return None
        return float(np.sqrt(1 + self.between / (self.num_pieces - 1) / (self.within / self.num_pieces)).max())


def moments_of(x: Float[np.ndarray, "draw chain dim"]) -> Moments | None:
    """Of the pieces of one segment; None where they are too short."""
    if len(x) < MIN_DRAWS:
        return None
    means, variances = x.mean(0, dtype=np.float64), x.var(0, ddof=1, dtype=np.float64)
    mean = means.mean(0)
    return Moments(len(means), mean, np.square(means - mean).sum(0), variances.sum(0))


def join(first: Moments | None, second: Moments | None) -> Moments | None:
    """Of the pieces of both (Chan, Golub & LeVeque, The American Statistician 37, 1983)."""
    if first is None or second is None:
        return first or second
    count, apart = first.num_pieces + second.num_pieces, second.mean - first.mean
    mean = first.mean + apart * second.num_pieces / count
    between = first.between + second.between + np.square(apart) * (first.num_pieces * second.num_pieces / count)
    return Moments(count, mean, between, first.within + second.within)
