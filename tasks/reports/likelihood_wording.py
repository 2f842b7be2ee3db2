"""What the likelihoods of a run mean, in one sentence each, and what to do where one is not to be trusted."""

import math

from scorefleet.tasks.ebm.likelihood import MAX_EXACT_DIM
from scorefleet.tasks.reports.wording import Line, Metrics

MAX_SPREAD = 1.0
"""Nats by which populations may differ before a few of them carry the mean, and its interval comes out too short."""


def likelihood(metrics: Metrics) -> list[Line]:
    """Held-out likelihood, log Z, and the two checks of them."""
    if "likelihood/held_out" not in metrics:
        return []
    return [*_rows(metrics), _log_z(metrics), _annealing(metrics), _flow(metrics)]


def _rows(metrics: Metrics) -> list[Line]:
    mean, high = metrics["likelihood/held_out"], metrics["likelihood/held_out_high"]
    gap = metrics["likelihood/train"] - mean
    lines = [
        Line(
            "Log-likelihood of a held-out row",
            f"{mean:.2f} ± {high - mean:.2f} nats",
            None,
            f"Mean over {metrics['likelihood/num_rows']:,.0f} rows that training never saw, with a 95 % interval that "
            f"holds the error of log Z. Scored is the learned density with noise of "
            f"{metrics['likelihood/noise']:.2g} standard deviations on it, at temperature 1, in the units of the data; "
            "a whole number counts with its probability (a lower bound, by dequantisation), a real one with its "
            "density. Higher is better between models of one data set.",
            "",
        )
    ]
    if "likelihood/bits_per_dimension" in metrics:
        meaning = "The same as the length of a code for the whole numbers of a held-out row; lower is better."
        value = f"{metrics['likelihood/bits_per_dimension']:.3f}"
        lines.append(Line("Bits per dimension", value, None, meaning, ""))
    lines.append(
        Line(
            "Training rows above held-out rows",
            f"{gap:+.2f} nats a row",
            None,
            "What the model has learned by heart: 0 where it finds both alike.",
            "",
        )
    )
    if "likelihood/sampled_held_out" in metrics:
        meaning = "Of the density to the power 1/temperature that the chains sampled, for the same rows."
        value = f"{metrics['likelihood/sampled_held_out']:.2f} nats"
        lines.append(Line("Log-likelihood at the chains' temperature", value, None, meaning, ""))
    return lines


def _log_z(metrics: Metrics) -> Line:
    spread = metrics["likelihood/log_z_spread"]
    return Line(
        "Log normaliser log Z",
        f"{metrics['likelihood/log_z']:.2f}, 95 %: {metrics['likelihood/log_z_low']:.2f} to "
        f"{metrics['likelihood/log_z_high']:.2f}",
        spread < MAX_SPREAD,
        f"Of exp f at the lowest noise, by annealing with resampling from pure noise; one population's estimate varies "
        f"by {spread:.2f} nats. Likelihoods fall by what log Z gains; mass in places that no particle found is "
        "missing in it, and an estimate that rises with normalise.num_particles is still too low.",
        "Beyond 1 nat a few populations carry the mean: log Z is likely too low, its interval too short, and the "
        "likelihood too high. Raise normalise.num_particles.",
    )


def _annealing(metrics: Metrics) -> Line:
    name = "sampled_log_z" if "likelihood/sampled_log_z" in metrics else "log_z"
    ess, error = metrics["chains/weights_ess_fraction"], metrics.get("chains/log_z_standard_error", math.nan)
    return Line(
        "log Z from the chains' own weights",
        f"{metrics['chains/log_z']:.2f} ± {error:.2f}, beside {metrics[f'likelihood/{name}']:.2f}",
        None,
        f"Annealed importance sampling without resampling, of the density that the chains sampled, beside the estimate "
        f"above of the same. Its weights are worth {ess:.1%} of the chains; below some per cent it comes out too low, "
        "and so does its error.",
        "",
    )


def _flow(metrics: Metrics) -> Line:
    name = "Energy minus probability flow"
    if "likelihood/energy_minus_flow" not in metrics:
        meaning = f"Not computed: the flow's divergence is exact up to {MAX_EXACT_DIM} numbers a row only."
        return Line(name, "-", None, meaning, "")
    gap, error = metrics["likelihood/energy_minus_flow"], metrics["likelihood/energy_minus_flow_standard_error"]
    reach = math.hypot(2 * error, metrics["likelihood/log_z_high"] - metrics["likelihood/log_z"])
    return Line(
        name,
        f"{gap:+.2f} ± {reach:.2f} nats",
        abs(gap) <= max(1.5 * reach, 0.1),
        f"The first {metrics['likelihood/num_flow_rows']:.0f} held-out rows scored again from the scores of all "
        f"levels, without log Z ({metrics['likelihood/flow']:.2f} in the mean). They are equal where the energies of "
        "all levels belong to one diffusion; a difference says that they do not: mass has moved between modes.",
        "Trust neither likelihood to better than the difference. Raise train.time_score_weight, which ties the levels "
        "together, or train longer.",
    )
