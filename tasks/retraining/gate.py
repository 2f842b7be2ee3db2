"""Whether a challenger replaces the champion: evidence in, a decision with its reasons out. Pure.

Both are judged on the same held-out rows, of which neither has learned. Each criterion is a difference `D`, challenger
over champion, positive where the challenger is better, with a standard error and degrees of freedom:

- *likelihood*: `D` is the mean over rows of the difference of log-likelihoods. Its variance is that of the mean of the
  paired differences, and those of both log Z, which all rows share.
- *draws*: `D` is by how much the energy distance to the held-out rows `2 E|x-h| - E|x-x'| - E|h-h'|` of the
  challenger's draws is below that of the champion's. With as many draws of each it is the difference of the means of
  one number a draw, `2 mean_h |x-h| - 2 mean_y |x-y|`, y over the draws of both, so that relabelling draws changes no
  number: for two models of one law the test is a permutation test but for its normal limit. A third variance is that of
  the held-out rows, `2 (mean_challenger |x-h| - mean_champion |x-h|)`.

A challenger is promoted if it is better in at least one criterion and behind in none. Better: the one-sided Student
interval of `D` at `1 - level/k`, k the number of criteria, lies above 0. So a challenger that is no better in any is
promoted with probability `level` at most (Bonferroni). Behind: `D < 0`. That is strict, since what is lost by a veto
without cause is one night, and what is kept out is a model that is worse and was lucky in the other criterion.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats
from scipy.spatial.distance import cdist

from scorefleet.tasks.mcmc.noise_ladder import smc

FALSE_PROMOTION_RATE = 0.05
NEEDED = ("num_nonfinite", "control_p_value", "acceptance_min", "acceptance_max")
"""Metrics of the chains without which nothing is known of a challenger."""

MIN_HELD_OUT = 20
"""Fair rows below which a normal limit says nothing."""


@dataclass(frozen=True)
class Facts:
    """What is known of the challenger by itself; `findings` are those of the verification of its samples."""

    is_converged: bool
    reasons: tuple[str, ...]
    num_nonfinite: int
    findings: tuple[str, ...]
    not_numbers: tuple[str, ...]
    """Metrics, and likelihoods of rows, that are NaN, infinite or missing."""
    is_exact: bool


@dataclass(frozen=True)
class Comparison:
    """One criterion: `difference` is positive where the challenger is better."""

    name: str
    unit: str
    difference: float
    standard_error: float
    degrees_of_freedom: float

    def reach(self, level: float) -> float:
        """From the estimate to the bound that is passed with probability `level`, on one side."""
        return float(stats.t.isf(level, self.degrees_of_freedom)) * self.standard_error


@dataclass(frozen=True)
class Decision:
    """Promoted or not, and why: the reasons against it, or else those for it."""

    is_promoted: bool
    reasons: tuple[str, ...]


def decide(
    challenger: Facts,
    champion_is_exact: bool,
    comparisons: Sequence[Comparison],
    level: float = FALSE_PROMOTION_RATE,
) -> Decision:
    """Promote a challenger that is sound, better in one criterion at least, and behind in none."""
    flaws = flaws_of(challenger, champion_is_exact)
    if flaws:
        return Decision(False, flaws)
    undefined = [one.name for one in comparisons if not math.isfinite(one.difference + one.standard_error)]
    if undefined:
        return Decision(False, (f"It cannot be compared by its {' and '.join(undefined)}, which are not numbers.",))
    if not comparisons:
        return Decision(False, (f"Fewer than {MIN_HELD_OUT} rows are there that neither model has learned from.",))
    share = level / len(comparisons)
    behind = [one for one in comparisons if one.difference < 0]
    if behind:
        return Decision(False, tuple(_sentence(one, "behind", share) for one in behind))
    better = [one for one in comparisons if one.difference - one.reach(share) > 0]
    if better:
        return Decision(True, tuple(_sentence(one, "better", share) for one in better))
    return Decision(False, tuple(_sentence(one, "no better", share) for one in comparisons))


def not_numbers(metrics: Mapping[str, float], not_finite: Sequence[str], has_density: bool) -> tuple[str, ...]:
    """Return the metrics that are NaN or infinite, and those that the gate needs and that are missing."""
    needed = [f"chains/{name}" for name in NEEDED]
    needed += ["likelihood/held_out", "likelihood/log_z"] if has_density else []
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    return tuple(dict.fromkeys([*not_finite, *bad, *(name for name in needed if name not in metrics)]))


def flaws_of(challenger: Facts, champion_is_exact: bool) -> tuple[str, ...]:
    """What forbids its promotion whatever the comparison says; a model that is not exact follows only its like."""
    flaws = [] if challenger.is_converged else [*challenger.reasons, "Its chains did not converge."][:1]
    if challenger.num_nonfinite:
        flaws.append(f"{challenger.num_nonfinite:,} energies on the way of its chains were not finite.")
    if challenger.findings:
        flaws.append(f"Its samples are not whole: {challenger.findings[0]}.")
    if challenger.not_numbers:
        flaws.append(f"These are missing or not finite numbers: {', '.join(challenger.not_numbers)}.")
    if champion_is_exact and not challenger.is_exact:
        flaws.append("Its draws are not exact, and those of the champion are.")
    return tuple(flaws)


def compare_likelihoods(
    challenger: Float[np.ndarray, " row"],
    champion: Float[np.ndarray, " row"],
    log_z_challenger: Sequence[float],
    log_z_champion: Sequence[float],
) -> Comparison:
    """Log-likelihoods of the same rows by both, and the populations' estimates of each log Z."""
    gain = challenger - champion
    parts = [(gain.var(ddof=1) / len(gain), len(gain) - 1)]
    for by_population in (log_z_challenger, log_z_champion):
        log_z, dof = smc.interval(by_population), len(by_population) - 1
        parts.append((((log_z.high - log_z.estimate) / stats.t.isf(0.025, dof)) ** 2, dof))
    return _comparison("likelihood", "nats a row", float(gain.mean()), parts)


def compare_draws(
    challenger: Float[np.ndarray, "draw dim"],
    champion: Float[np.ndarray, "draw dim"],
    held_out: Float[np.ndarray, "row dim"],
) -> Comparison:
    """Independent draws of both, as many of each, and held-out rows, all in the same standardised coordinates."""
    both = np.concatenate([challenger, champion])
    to_rows, num_draws = cdist(both, held_out), len(challenger)
    score = 2 * to_rows.mean(1) - 2 * cdist(both, both).mean(1)
    by_row = 2 * (to_rows[:num_draws].mean(0) - to_rows[num_draws:].mean(0))
    parts = [(part.var(ddof=1) / len(part), len(part) - 1) for part in (score[:num_draws], score[num_draws:], by_row)]
    gain = float(score[num_draws:].mean() - score[:num_draws].mean())
    return _comparison("draws", "energy distance", gain, parts)


def _comparison(name: str, unit: str, difference: float, parts: Sequence[tuple[float, int]]) -> Comparison:
    """Independent parts (variance, degrees of freedom), with Welch and Satterthwaite's degrees of freedom."""
    variance = sum(part for part, _ in parts)
    weight = sum(part**2 / dof for part, dof in parts)
    return Comparison(name, unit, difference, math.sqrt(variance), variance**2 / weight if weight else 1.0)


def _sentence(one: Comparison, verdict: str, level: float) -> str:
    low, high = one.difference - one.reach(level), one.difference + one.reach(level)
    return (
        f"It is {verdict} by its {one.name}: {one.difference:+.3g} {one.unit}, "
        f"{100 * (1 - 2 * level):g} % interval {low:+.3g} to {high:+.3g}."
    )
