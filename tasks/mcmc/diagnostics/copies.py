"""Are draws new, or copies of the rows that a model learned from?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors

NUM_NEIGHBOURS = 128
MIN_DISTANCE = 1e-3  # in units of the median distance to a nearest row: an exact copy must not weigh infinitely


class Nearest(NamedTuple):
    """Of each row: which reference row is nearest, and how far it is."""

    row: np.ndarray
    distance: np.ndarray


def nearest_distances(rows: Float[np.ndarray, "row dim"], reference: Float[np.ndarray, "other dim"]) -> Nearest:
    """Euclidean distance of each row to its nearest reference row."""
    return Nearest(*pairwise_distances_argmin_min(rows, reference))


class MemorisationTest(NamedTuple):
    """`p_value` is small when draws stand closer to training rows than held-out rows do.

    `closer_share` is the probability that a draw is closer than a held-out row, near 0.5 for new draws;
    `num_closest` counts draws that are closer than every held-out row.
    """

    p_value: float
    closer_share: float
    num_closest: int


def memorisation_test(draws: Float[np.ndarray, " draw"], held_out: Float[np.ndarray, " row"]) -> MemorisationTest:
    """Are draws closer to their nearest training rows than held-out rows are? One-sided.

    Twice the smaller p of two exact questions: of all draws together (Mann-Whitney), and of the few closest,
    which finds copies among many new draws: that the k closest of all distances are draws' has probability
    `prod_i<k (m - i)/(m + n - i)`.
    """
    m, n = len(draws), len(held_out)
    test = stats.mannwhitneyu(draws, held_out, alternative="less")
    num_closest = int((draws < held_out.min()).sum())
    i = np.arange(num_closest)
    p_closest = float(np.exp(np.log((m - i) / (m + n - i)).sum()))
    share = 1 - float(test.statistic) / (m * n)
    return MemorisationTest(min(1.0, 2 * min(float(test.pvalue), p_closest)), share, num_closest)


class CopyTest(NamedTuple):
    """`log_ratio` is the mean of `ln(distance to held-out rows / distance to training rows)`, each to the nearest, less
    what it is when real rows change places: 0 for new draws, and .1 when training rows are 10 % closer than that.
    """

    log_ratio: float
    p_value: float


def copy_test(
    draws: Float[np.ndarray, "draw dim"],
    train: Float[np.ndarray, "row dim"],
    held_out: Float[np.ndarray, "other dim"],
    seed: int,
    num_permutations: int = 999,
) -> CopyTest:
    """Do draws lean towards the rows that were learned from, rather than towards data in general?

    If nothing was learned by heart it does not matter which real rows were held out, so the mean log ratio is compared
    with its values when real rows change places at random: an exact permutation test. Draws that are merely more
    typical than the data are closer to training rows and to held-out rows alike, and pass.
    """
    real = np.concatenate([train, held_out])
    neighbours = NearestNeighbors(n_neighbors=min(NUM_NEIGHBOURS, len(real)), algorithm="brute").fit(real)
    distance, index = neighbours.kneighbors(draws)
    log_distance = np.log(np.maximum(distance, max(MIN_DISTANCE * float(np.median(distance[:, 0])), 1e-30)))
    is_train = np.arange(len(real)) < len(train)
    observed, random = _log_ratio(log_distance, is_train[index]), np.random.default_rng(seed)
    permuted = [_log_ratio(log_distance, random.permutation(is_train)[index]) for _ in range(num_permutations)]
    exceeded = int((np.array(permuted) >= observed - 1e-12).sum())
    return CopyTest(observed - float(np.mean(permuted)), (1 + exceeded) / (1 + num_permutations))


def _log_ratio(log_distance: Float[np.ndarray, "draw near"], is_train: Bool[np.ndarray, "draw near"]) -> float:
    """Of the first neighbour of either kind; where there is none among them, the furthest stands for it."""
    rows, last = np.arange(len(log_distance)), log_distance.shape[1] - 1
    to_train, to_held_out = (
        log_distance[rows, np.where(kind.any(1), kind.argmax(1), last)] for kind in (is_train, ~is_train)
    )
    return float((to_held_out - to_train).mean())
