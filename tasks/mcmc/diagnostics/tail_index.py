"""Errors of moments that heavy tails leave honest.

The usual error of a mean knows the draws that came, and nothing of what n effective draws do not reach. Where the tail
of |y| is that of a generalised Pareto distribution of shape k, they reach the quantile Q of probability 1 - 1/n, and
what lies beyond it adds `E[|y|; |y| > Q] = Q/(n (1-k))` to the mean: nothing to speak of where tails are light, most of
the error where the variance is infinite, and infinite where the mean is. (Vehtari, Simpson, Gelman, Yao & Gabry, JMLR
25, 2024, for k; Weissman, JASA 73, 1978, for Q.)
"""

import math
from typing import Any

import numpy as np
from arviz_stats.base import array_stats  # pyright: ignore[reportPrivateImportUsage]
from jaxtyping import Float

MIN_DRAWS, TAIL_SHARE = 100, 0.01
"""Of the draws, from whose least the tail beyond is extrapolated."""


def tail_index(draws: Float[np.ndarray, "chain draw"]) -> float:
    """The shape k of the tails about the median, as PSIS fits it: moments of order `1/k` and more do not exist. 0 where
    draws are too few or all equal."""
    away = np.abs(draws - np.median(draws))
    farthest = np.sort(away, axis=None)[-math.isqrt(draws.size) :]
    if draws.size < MIN_DRAWS or not np.isfinite(farthest).all() or farthest[0] == farthest[-1]:
        return 0.0
    with np.errstate(all="ignore"):  # of equal draws, which have no tail
        k: Any = array_stats.pareto_khat(away, chain_axis=0, draw_axis=1, r_eff=1.0, tail="right")
    return float(k) if math.isfinite(k) else 0.0


def unreached(draws: Float[np.ndarray, "chain draw"], num_effective: float, k: float, order: int = 1) -> float:
    """`E[|y|^order; |y| > Q]`, y about the median: what `num_effective` draws leave out of a moment; inf where the
    moment does not exist."""
    if order * k >= 1:
        return math.inf
    if not num_effective > 1:
        return math.nan
    num_beyond = 3 * math.sqrt(num_effective)  # to which k was fitted
    high = order * (k + (1 + k) / math.sqrt(num_beyond))
    k = max(min(high, 0.5 * (order * k + 1)), 0.0)
    away = np.abs(draws - np.median(draws)) ** order
    threshold = float(np.quantile(away, 1 - TAIL_SHARE))
    farthest = threshold * max(TAIL_SHARE * num_effective, 1.0) ** k
    return farthest / (num_effective * (1 - k))
