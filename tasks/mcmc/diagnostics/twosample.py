"""Tests of whether two sets of rows come from one law."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

EXCEEDANCES = 100  # permutations beyond the statistic that give p to a tenth of its value
BATCH = 256
FOLDS = 5


class EnergyTest(NamedTuple):
    """`distance` is the energy distance, 0 for equal laws; `p_value` is small when the laws differ."""

    distance: float
    p_value: float
    num_permutations: int


def energy_test(
    a: Float[np.ndarray, "a_row dim"], b: Float[np.ndarray, "b_row dim"], level: float, seed: int
) -> EnergyTest:
    """Permutation test of the energy distance `2 E|a-b| - E|a-a'| - E|b-b'|` (Székely & Rizzo, 2013).

    There are at most `3/level` permutations, so p can fall to a third of `level`; they stop at the 100th that
    is beyond the statistic (Besag & Clifford, Biometrika 78, 1991). Either way `P(p <= x) <= x` when the laws
    are equal.
    """
    centred, scale = _centred_distances(np.concatenate([a, b])), 1 / len(a) + 1 / len(b)
    total, random = len(centred), np.random.default_rng(seed)
    observed = float(-centred[: len(a), : len(a)].sum(dtype=np.float64))
    num_max, done, exceeded = math.ceil(3 / level), 0, 0
    while done < num_max:
        batch = min(BATCH, num_max - done)
        chosen = np.zeros((total, batch), dtype=np.float32)
        rows = random.permuted(np.tile(np.arange(total, dtype=np.int32), (batch, 1)), axis=1)[:, : len(a)]
        chosen[rows.T, np.arange(batch)] = 1
        permuted = -(chosen * (centred @ chosen)).sum(0, dtype=np.float64)
        beyond = np.cumsum(permuted >= observed * (1 - 1e-6))  # equal rows can make it equal, up to rounding
        if exceeded + beyond[-1] >= EXCEEDANCES:
            done += int(np.searchsorted(beyond, EXCEEDANCES - exceeded)) + 1
            return EnergyTest(scale**2 * observed, EXCEEDANCES / done, done)
        done, exceeded = done + batch, exceeded + int(beyond[-1])
    return EnergyTest(scale**2 * observed, (1 + exceeded) / (1 + done), done)


def _centred_distances(rows: np.ndarray) -> np.ndarray:
    """Pairwise distances less their row and column means.

    Contrasts `z` of mean 0 see no difference, `z'Dz = z'Cz`, but the sums are small and float32 holds them;
    and with the indicator `u` of the first set the energy distance is `-(1/n + 1/m)^2 u'Cu`.
    """
    rows = (rows - rows.mean(0)).astype(np.float32)
    squares = np.square(rows).sum(1)
    distances = rows @ rows.T
    distances *= -2
    distances += squares
    distances += squares[:, None]
    np.maximum(distances, 0, out=distances)
    np.sqrt(distances, out=distances)
    np.fill_diagonal(distances, 0)
    means = distances.mean(0, dtype=np.float64)
    distances -= (means - means.mean()).astype(np.float32)
    distances -= means[:, None].astype(np.float32)
    return distances


class Auc(NamedTuple):
    """Area under the ROC curve, 0.5 when a classifier cannot tell and 1 when it always can."""

    value: float
    standard_error: float
    num_rows: int


def classifier_auc(
    draws: Float[np.ndarray, "draw dim"],
    held_out: Float[np.ndarray, "row dim"],
    seed: int,
    num_repeats: int = 3,
    max_rows: int = 2000,
) -> Auc:
    """How well gradient-boosted trees tell draws from held-out rows (Lopez-Paz & Oquab, ICLR 2017).

    Equal numbers of each, stratified 5-fold cross-validation, repeated. A row's placement is the share of the
    other set, in the same fold, that it outranks; AUC is their mean, and its standard error is that of DeLong
    et al., Biometrics 44, 1988.
    """
    random = np.random.default_rng(seed)
    size = min(len(draws), len(held_out), max_rows)
    rows = np.concatenate([x[random.choice(len(x), size, replace=False)] for x in (held_out, draws)])
    is_draw = np.repeat([0, 1], size)
    with threadpool_limits(1, user_api="openmp"):  # on so few rows threads that wait for each other cost tenfold
        placements = np.mean([_placements(rows, is_draw, seed + k) for k in range(num_repeats)], axis=0)
    spread = placements[is_draw == 1].var(ddof=1) + placements[is_draw == 0].var(ddof=1)
    return Auc(float(placements[is_draw == 1].mean()), math.sqrt(spread / size), size)


def _placements(rows: np.ndarray, is_draw: np.ndarray, seed: int) -> np.ndarray:
    """The share of the other set, in the same fold, that each row ranks on the right side of."""
    placements = np.zeros(len(rows))
    for learn, judge in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(rows, is_draw):
        classifier = HistGradientBoostingClassifier(early_stopping=False, random_state=seed)  # pyright: ignore[reportArgumentType]
        scores = classifier.fit(rows[learn], is_draw[learn]).predict_proba(rows[judge])[:, 1]
        draws, held_out = judge[is_draw[judge] == 1], judge[is_draw[judge] == 0]
        draw_scores, held_out_scores = scores[is_draw[judge] == 1], scores[is_draw[judge] == 0]
        wins = np.sign(draw_scores[:, None] - held_out_scores) / 2 + 0.5
        placements[draws], placements[held_out] = wins.mean(1), wins.mean(0)
    return placements
