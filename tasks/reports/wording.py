"""What each number of the report means, in one sentence, and what to do where it is bad."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Line:
    """A row of a table: `is_good` is None where a number has no good side of its own."""

    name: str
    value: str
    is_good: bool | None
    meaning: str
    remedy: str


def two_sample(metrics: Metrics) -> list[Line]:
    """Draws against held-out rows."""
    if "quality/auc" not in metrics:
        return []
    auc, error = metrics["quality/auc"], metrics["quality/auc_standard_error"]
    return [
        Line(
            "Classifier two-sample AUC",
            f"{auc:.3f} ± {error:.3f}",
            auc <= 0.7,
            "How well gradient-boosted trees tell draws from held-out rows: 0.5 is a coin toss, 1 is always right.",
            "Train longer (train.num_steps) or with a wider network (train.width).",
        ),
        Line(
            "Energy distance to held-out rows",
            f"{metrics['quality/energy_distance']:.3g}, {p_value(metrics['quality/energy_p_value'])}",
            metrics["quality/energy_p_value"] > 1e-3,
            "A small p says that draws and data differ by more than chance; with many rows even slight "
            "differences show.",
            "Look at the columns that differ most, in columns.csv, and train longer.",
        ),
    ]


def quality(metrics: Metrics) -> list[Line]:
    """Copies and classes."""
    lines = []
    if "quality/memorisation_p_value" in metrics:
        lines += _newness(metrics)
    if "quality/class_ratio_min" in metrics:
        low, high = metrics["quality/class_ratio_min"], metrics["quality/class_ratio_max"]
        lines.append(
            Line(
                "Share of each class, draws over data",
                f"{low:.2f} to {high:.2f}",
                low >= 0.5 and high <= 2,
                f"1 is the data's own share; classes are told by a classifier that is right on "
                f"{metrics['quality/class_accuracy']:.1%} of held-out rows.",
                "Lower train.learning_rate or train longer: weights of modes are learned last.",
            )
        )
    return lines


def _newness(metrics: Metrics) -> list[Line]:
    copies, closer = metrics["quality/copies_p_value"], metrics["quality/memorisation_p_value"]
    return [
        Line(
            "Leaning towards training rows",
            f"{np.expm1(metrics['quality/copies_log_ratio']):+.1%} closer, {p_value(copies)}",
            copies > 1e-3,
            "How much closer draws are to the rows that were learned from than if other rows of the data had been; "
            "copies would be many times closer, and a small p says that the lean is more than chance.",
            "Train for fewer steps, raise train.dropout, or give more rows.",
        ),
        Line(
            "Closeness to training rows",
            f"{metrics['quality/closer_share']:.1%} closer, {p_value(closer)}; "
            f"{metrics['quality/num_closest']:.0f} closest of all",
            copies > 1e-3 or closer > 1e-3,
            "Share of comparisons in which a draw is closer to its nearest training row than a held-out row to its; "
            "the count is of draws closer than every held-out row. Far above 50 % without copies, draws are more "
            "typical, less varied, than the data.",
            "Train for fewer steps, raise train.dropout, or give more rows.",
        ),
    ]


def chains(metrics: Metrics) -> list[Line]:
    """What is measured on chains beside the verdict."""
    ess = metrics.get("chains/weights_ess_fraction")
    p = metrics.get("chains/control_log_density_p_value")
    lines: list[Line] = []
    if p is not None:
        lines.append(
            Line(
                "Log density against the control ladder",
                p_value(p),
                p > 1e-3,
                "Kolmogorov-Smirnov test of draws against draws of twice the steps, in the direction in which haste "
                "shows first.",
                "Raise sample.steps_per_level or sample.num_levels.",
            )
        )
    if "quality/antisymmetric_share" in metrics:
        lines += _without_density(metrics["quality/antisymmetric_share"])
    elif not metrics["chains/is_exact"]:
        lines.append(
            Line(
                "Exactness",
                "not exact",
                False,
                "The kernel's steps do not leave the learned density invariant: draws have a law near it, and no check "
                "here says how near.",
                "Choose a kernel that is exact, such as mala, by sample.kernel.",
            )
        )
    if metrics["chains/temperature"] != 1:
        lines.append(
            Line(
                "Temperature",
                f"{metrics['chains/temperature']:g}",
                None,
                "The chains are exact for the learned density to the power 1/temperature, not for the density itself; "
                "all log densities here are of that power.",
                "",
            )
        )
    if ess is not None:
        lines.append(
            Line(
                "Effective share of annealing weights",
                f"{ess:.1%}",
                None,
                "How evenly the importance weights of the way down lie: near 100 % the ladder follows the densities "
                "closely, near 0 % log Z is a guess.",
                "",
            )
        )
    return lines + _exchange(metrics) + _mixing(metrics)


def _exchange(metrics: Metrics) -> list[Line]:
    if "chains/round_trips_per_chain" not in metrics:
        return []
    rates = f"{metrics['chains/swap_rate_min']:.2f} to {metrics['chains/swap_rate_max']:.2f}"
    return [
        Line(
            "Round trips of replicas",
            f"{metrics['chains/round_trips_per_chain']:.2f} a chain in {metrics['chains/exchange_rounds']:.0f} rounds",
            None,
            "Ways from the highest noise to the lowest and back, all replicas of a chain together: each brings it "
            "a place that owes nothing to its way down. With few, only modes that part at low noise are reweighed.",
            "",
        ),
        Line(
            "Swaps of neighbouring levels",
            f"{rates} among {metrics['chains/exchange_levels']:.0f} levels",
            None,
            f"Share of swaps that are accepted; the rejections add up to {metrics['chains/exchange_barrier']:.1f}, and "
            "about twice as many levels serve best.",
            "",
        ),
    ]


def _without_density(share: float) -> list[Line]:
    """What a score-only model's chains are."""
    return [
        Line(
            "Exactness",
            "not exact",
            False,
            "The model is a score without a density. Where steps are tested, it is by the integral of the score along "
            "the line between two points, which is a log ratio of densities only if the score is a gradient, and then "
            "up to the error of the rule: the chains are like Metropolis-Hastings ones, but have no exact target.",
            "For exact draws, log densities and weights train an energy: train.energy scalar_head or inner_product.",
        ),
        Line(
            "Part of the score that is no gradient",
            f"{share:.2%}",
            None,
            "Antisymmetric part of the score's Jacobian over the whole (Frobenius norms), at held-out rows noised to "
            "the lowest level: 0 % is the score of a density, 100 % a mere rotation.",
            "",
        ),
    ]


def _mixing(metrics: Metrics) -> list[Line]:
    if "chains/rhat_max" not in metrics:
        return []
    rhat, what, suffix = f"worst coordinate {metrics['chains/rhat_max']:.3f}", "the worst coordinate", "min"
    if "chains/rhat_log_density" in metrics:
        rhat = f"{metrics['chains/rhat_log_density']:.3f}; {rhat}"
        what, suffix = "the log density", "log_density"
    bulk, tail = (metrics[f"chains/{part}_ess_{suffix}"] for part in ("bulk", "tail"))
    lines = [
        Line(
            "Split R-hat",
            rhat,
            None,
            "1 when all chains have one law. Chains that come down the ladder once stay in the mode they reached, so "
            "it cannot come near 1 here and does not count.",
            "",
        ),
        Line(
            "Effective sample size, bulk and tail",
            f"{bulk:,.0f} and {tail:,.0f} draws",
            None,
            f"Independent draws of {what} that the kept draws are worth.",
            "",
        ),
    ]
    if "chains/nested_rhat_log_density" in metrics:
        value = f"{metrics['chains/nested_rhat_log_density']:.3f}"
        meaning = "R-hat between groups of chains that share a start: 1 when the start is forgotten."
        lines.append(Line("Nested R-hat", value, None, meaning, ""))
    return lines


def p_value(p: float) -> str:
    """`p = 0.43`, `p < 0.0001`."""
    return f"p = {p:.2g}" if p >= 1e-4 else "p < 0.0001"
