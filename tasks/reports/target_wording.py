"""What the numbers of chains over a user's own density mean, what is exact in them, and what to do next."""

import math
from collections.abc import Mapping
from typing import Any

from scorefleet.tasks.judging.target_verdict import MAX_RHAT, MIN_ROUND_TRIPS
from scorefleet.tasks.reports.wording import Line, Metrics

HEAVY = 0.25
"""From this tail index on the variance of squares is infinite, and with it the usual error of a standard deviation."""


def rounded(value: float, error: float) -> tuple[str, str]:
    """A number to the first digit of its error, and that error."""
    is_known = math.isfinite(error) and error > 0
    digits = -math.floor(math.log10(error)) if is_known else -1
    if not 0 <= digits <= 6 or abs(value) >= 1e7:
        return f"{value:.4g}", f"{error:.1g}"
    return f"{value:.{digits}f}", f"{error:.{digits}f}"


def measures(metrics: Metrics, seconds: float, num_effective: float) -> list[Line]:
    """What is measured beside the verdict."""
    lines = [
        Line(
            "Split R-hat, the worst",
            f"{metrics.get('chains/rhat_max', float('nan')):.4f}",
            None,
            "Between half chains, rank-normalised; with many short chains it stays above 1.01 even where all have one "
            "law, and nested R-hat between starting points, and between halves of all chains, counts instead.",
            "",
        ),
        Line(
            "Cost",
            f"{metrics['chains/gradients_per_chain']:,.0f} gradients a chain",
            None,
            "Evaluations of the density and its gradient after the warm-up, those of all replicas among them.",
            "",
        ),
        Line(
            "Effective draws per 1,000 gradients",
            f"{metrics.get('chains/ess_per_1000_gradients', float('nan')):,.2f}",
            None,
            "Bulk of the worst coordinate or the log density, over all gradients of the chains that were judged.",
            "",
        ),
        Line(
            "Effective draws per second",
            f"{num_effective / seconds:,.1f}",
            None,
            f"Of all chains, over the {seconds:,.0f} s of the whole step, with warm-up, workers' start and log Z.",
            "",
        ),
    ]
    if metrics.get("chains/tail_index_max", 0.0) >= HEAVY:
        lines.append(_heavy_tail(metrics["chains/tail_index_max"]))
    return lines


def _heavy_tail(k: float) -> Line:
    """What the index of the heaviest tail means for means and standard deviations."""
    return Line(
        "Heaviest tail, Pareto k",
        f"{k:.2f}",
        None,
        f"Moments of order {1 / k:.1f} and above are infinite for this coordinate. Standard errors allow for the part "
        "of a tail that so many draws do not reach, and are infinite where the moment is; quantiles are not affected.",
        "",
    )


def ladder(metrics: Metrics) -> list[Line]:
    """What is measured on the ladder."""
    if "ladder/barrier" not in metrics:
        return []
    return [
        Line(
            "Barrier",
            f"{metrics['ladder/barrier']:.2f}",
            None,
            "Sum of the rejection rates of neighbouring levels; it hardly depends on the number of levels, and about "
            f"twice as many, here {metrics['ladder/best_num_levels']:.0f}, are best.",
            "",
        ),
        Line(
            "Rejected swaps, worst pair",
            f"{metrics['ladder/rejection_max']:.1%}",
            metrics["ladder/rejection_max"] < 0.8,
            "Levels were set in the warm-up so that all pairs reject equally often, and then frozen.",
            f"Raise num_levels to {metrics['ladder/best_num_levels']:.0f}.",
        ),
        Line(
            "Round trips",
            f"{metrics['ladder/round_trips']:,.0f}; {metrics['ladder/round_trips_per_chain']:.1f} a chain",
            None,
            "From the wide Gaussian to the density and back: each brings an independent draw with it.",
            "",
        ),
    ]


def exactness(is_exact: bool, has_ladder: bool, has_log_z: bool) -> list[str]:
    """What is exact, and what is not."""
    said = [
        "Every step passes a Metropolis test, so that the density is exactly what the chains leave unchanged; metric, "
        "step size and ladder were frozen before the first kept draw."
        if is_exact
        else "There is no Metropolis test: the draws follow a density that is off by an amount that grows with the "
        "step size, and nothing here says by how much. They are marked as not exact.",
        "Not exact is the start: chains begin where the warm-up found them, and forget it as fast as R-hat between "
        "starting points says.",
    ]
    if has_ladder:
        said.append(
            "Swaps along the ladder are exact too; they cost no evaluation, for the density is known at both points."
        )
    if has_log_z:
        said.append(
            "The estimate of Z is unbiased, and its interval comes from independent populations. Tails much heavier "
            "than a Gaussian's, or modes farther than 15 widths, are beyond the reference that it starts from."
        )
    return said


def next_steps(is_converged: bool, metrics: Metrics, program: Mapping[str, Any]) -> list[str]:
    """What to do, most promising first."""
    has_ladder = "ladder" in program
    if is_converged:
        return []
    steps = []
    if metrics.get("chains/num_nonfinite", 0) > 0:
        return [
            "Declare the domain of the density with --support, or return -inf outside it; where it is NaN or infinite "
            "inside its domain, make it finite. Nothing else can be judged before."
        ]
    if not metrics.get("chains/nested_rhat_max", metrics.get("chains/rhat_max", 0)) < MAX_RHAT:
        steps.append(
            f"Raise --num_draws to {4 * program['num_draws']:,} and --burn_in to {max(500, 4 * program['burn_in']):,}: "
            "chains that mix slowly need longer to forget where they began."
        )
        if not has_ladder:
            steps.append(
                "If marginals below show groups of chains in different places, these are modes: add a ladder, "
                "--num_levels 8."
            )
        steps.append(
            "Write the density in other coordinates where one sets the scale of others (in a funnel, draw the "
            "standardised deviation, and multiply)."
        )
    elif not metrics.get("chains/bulk_ess_min", 0) >= 400 or not metrics.get("chains/tail_ess_min", 0) >= 400:
        steps.append(f"Raise --num_draws to {4 * program['num_draws']:,} or --num_chains: draws are too few so far.")
    if has_ladder and metrics["ladder/round_trips"] < MIN_ROUND_TRIPS:
        steps.append(
            f"Raise --num_levels to {metrics['ladder/best_num_levels']:.0f}, about twice the measured barrier."
            if metrics["ladder/best_num_levels"] > metrics["ladder/num_levels"]
            else "The ladder has enough levels but too few round trips: run longer chains, "
            f"--num_draws {4 * program['num_draws']:,}."
        )
    return steps or ["Do what the sentence of the check that failed names; the table of checks has all of them."]
