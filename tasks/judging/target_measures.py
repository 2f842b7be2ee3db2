"""Measures chains over a user's own density: what the verdict rests on, a summary of every coordinate, and
how the ladder went.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int

from scorefleet.tasks import config
from scorefleet.tasks.judging.mode_search import visits
from scorefleet.tasks.judging.target_verdict import Measures
from scorefleet.tasks.mcmc.diagnostics import diagnostics
from scorefleet.tasks.mcmc.diagnostics.edges import thinning_out
from scorefleet.tasks.mcmc.diagnostics.tail_index import tail_index
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import Entry, SampleStore
from scorefleet.tasks.store.subsets import vectors, whole_chains
from scorefleet.tasks.user_code import density

MAX_VALUES, MAX_NUMBERS = 200_000, 20_000_000
"""Draws that diagnostics look at, and numbers in them; all of whole chains."""

LOG_DENSITY, CONSTANT = "log density", 1e-9
"""A log density that varies by less, in nats, is constant: what is left is rounding, which has no R-hat to judge."""


class Draws(NamedTuple):
    """Whole chains of a store, in the user's own coordinates."""

    position: Float[np.ndarray, "chain draw dim"]
    log_density: Float[np.ndarray, "chain draw"]
    accepted: Int[np.ndarray, "chain draw"]
    superchain: Int[np.ndarray, " chain"]


class Measured(NamedTuple):
    """`tables` are `summary`, one row a coordinate, and `ladder`, one row a level, where there is a ladder."""

    measures: Measures
    metrics: dict[str, float]
    tables: dict[str, pa.Table]


def measure_target(store: SampleStore) -> Measured:
    """Read the draws, and what their segments recorded."""
    description, made = store.description(), total_facts(store.each_entry())
    draws = read_draws(store)
    summary = summarise(draws, config.Chains(**description["config"]).labels)
    ladder = ladder_table(description["program"], made)
    mixing = _mixing(summary)
    measures = Measures(
        rhat=mixing["chains/rhat_max"],
        nested_rhat=mixing.get("chains/nested_rhat_max"),
        num_starts=len(np.unique(draws.superchain)),
        bulk_ess=mixing["chains/bulk_ess_min"],
        tail_ess=mixing["chains/tail_ess_min"],
        acceptance=made["accepted"] / made["proposed"],
        min_chain_acceptance=made["min_chain_acceptance"],
        num_nonfinite=made["num_nonfinite"],
        num_overflowed=made["num_overflowed"],
        thinning_out=_thinning_out(description, draws) if made["num_overflowed"] else None,
        num_round_trips=made["round_trips"] if ladder else None,
        visited=visits(store, draws.position),
    )
    gradients = made["num_evaluations"] / Layout.of(description).num_blocks
    metrics = mixing | {
        "chains/is_exact": float(description["is_exact"]),
        "chains/acceptance": measures.acceptance,
        "chains/min_chain_acceptance": measures.min_chain_acceptance,
        "chains/num_nonfinite": measures.num_nonfinite,
        "chains/num_overflowed": measures.num_overflowed,
        "chains/gradients_per_chain": gradients,
        "chains/ess_per_1000_gradients": 1000 * measures.bulk_ess / (len(draws.position) * gradients),
    }
    if ladder:
        metrics |= _ladder_metrics(ladder, made, description["num_chains"])
    metrics |= {f"evidence/{key}": value for key, value in (description["evidence"] or {}).items()}
    return Measured(measures, metrics, {"summary": summary} | ({"ladder": ladder} if ladder else {}))


def _thinning_out(description: dict[str, Any], draws: Draws) -> float:
    """`thinning_out` of the draws, in free coordinates."""
    support = density.support_of(config.Chains(**description["config"]))
    x = torch.tensor(draws.position.reshape(-1, draws.position.shape[2]), dtype=torch.float64)
    return thinning_out(support.to_free(x).numpy())


def read_draws(store: SampleStore) -> Draws:
    """As many whole chains as diagnostics can bear."""
    description = store.description()
    shape = num_judged(description), description["program"]["num_draws"]
    table = whole_chains(store, shape[0])
    log_density, accepted, superchain = (
        table[name].to_numpy().reshape(shape) for name in ("log_density", "accepted", "superchain")
    )
    return Draws(vectors(table["position"]).reshape(*shape, -1), log_density, accepted, superchain[:, 0])


def num_judged(description: dict[str, Any]) -> int:
    """How many chains of a store these are."""
    most = min(MAX_VALUES, MAX_NUMBERS // description["dim"]) // description["program"]["num_draws"]
    return min(description["num_chains"], max(4, most))


def summarise(draws: Draws, labels: Sequence[str]) -> pa.Table:
    """Mean, standard deviation and quantiles with their Monte Carlo standard errors, R-hat and effective sample sizes,
    of the log density and of every coordinate, by their `labels`.
    """
    is_nested = len(np.unique(draws.superchain)) not in (1, len(draws.superchain))
    named = [(label, draws.position[:, :, k]) for k, label in enumerate(labels)]
    rows = []
    for name, values in [(LOG_DENSITY, draws.log_density), *named]:
        with np.errstate(invalid="ignore", divide="ignore"):  # of what is constant they are no numbers
            nested = _nested(values, draws.superchain) if is_nested else None
            rows.append({"coordinate": name} | _moments(values) | _rhats(values) | {"nested_rhat": nested})
    return pa.Table.from_pylist(rows)


def _nested(values: Float[np.ndarray, "chain draw"], superchain: Int[np.ndarray, " chain"]) -> float:
    """Between superchains and between the halves of all chains, which differ where all drift together; of the ranks of
    the values and of their distances from the median, since chains in a tail that others have not seen agree in the
    mean where it has two sides.
    """
    folded, half = np.abs(values - np.median(values)), values.shape[1] // 2
    which = np.repeat([0, 1], len(values))
    found = []
    for ranked in map(diagnostics.rank_normalised, (values, folded)):
        halves = np.concatenate([ranked[:, :half], ranked[:, -half:]])
        found += [diagnostics.nested_rhat(ranked, superchain), diagnostics.nested_rhat(halves, which)]
    return max(found)


def _moments(values: Float[np.ndarray, "chain draw"]) -> dict[str, float]:
    k = tail_index(values)
    row = {
        "mean": float(values.mean()),
        "mean_error": diagnostics.mean_error(values, k),
        "sd": float(values.std()),
        "sd_error": diagnostics.sd_error(values, k),
        "tail_index": k,
    }
    for percent in (5, 50, 95):
        row[f"q{percent}"] = float(np.quantile(values, percent / 100))
        row[f"q{percent}_error"] = diagnostics.quantile_error(values, percent / 100)
    return row


def _rhats(values: Float[np.ndarray, "chain draw"]) -> dict[str, float]:
    return {
        "rhat": diagnostics.split_rhat(values),
        "bulk_ess": diagnostics.bulk_ess(values),
        "tail_ess": diagnostics.tail_ess(values),
    }


def _largest(summary: pa.Table, name: str) -> float:
    """The worst of all rows; not a number where one is none."""
    return float(np.max(summary[name].to_numpy()))


def _least(summary: pa.Table, name: str) -> float:
    return float(np.min(summary[name].to_numpy()))


def _mixing(summary: pa.Table) -> dict[str, float]:
    """The log density's own numbers, which stand in the first row, and the worst of the coordinates and of it, if it is
    not constant.
    """
    first = summary.slice(0, 1)
    metrics = {f"chains/{name}_log_density": _largest(first, name) for name in ("rhat", "bulk_ess", "tail_ess")}
    judged = summary.slice(1) if first["sd"][0].as_py() < CONSTANT else summary
    metrics |= {"chains/rhat_max": _largest(judged, "rhat")}
    metrics |= {f"chains/{name}_min": _least(judged, name) for name in ("bulk_ess", "tail_ess")}
    if summary["nested_rhat"].null_count == 0:
        metrics["chains/nested_rhat_log_density"] = _largest(first, "nested_rhat")
        metrics["chains/nested_rhat_max"] = _largest(judged, "nested_rhat")
    return metrics


SUMMED = ("accepted", "proposed", "num_nonfinite", "num_overflowed", "num_evaluations")
SUMMED_BY_LEVEL = ("level_accepted", "swapped", "swaps_tried", "level_proposed", "num_nonfinite_hot")


def total_facts(entries: Iterable[Entry]) -> dict[str, Any]:
    """The sums of what segments counted, `num_evaluations` of the density and its gradient a chain among them, and the
    least share of proposals that a chain accepted over a time; `entries` are in the order of block and segment.
    """
    total: dict[str, Any] = dict.fromkeys(SUMMED, 0) | {"round_trips": 0, "min_chain_acceptance": math.inf}
    for _, block in groupby(entries, lambda entry: entry.block):
        facts = [entry.facts for entry in block]
        for fact in facts:
            total |= {key: total[key] + fact[key] for key in SUMMED}
            total |= {key: total.get(key, 0) + np.array(fact[key]) for key in SUMMED_BY_LEVEL if key in fact}
            total["round_trips"] += sum(fact.get("round_trips", ()))
        least = _least_acceptance([(fact["min_accepted"], fact["proposed_per_chain"]) for fact in facts])
        total["min_chain_acceptance"] = min(total["min_chain_acceptance"], least)
    return total


def _least_acceptance(segments: list[tuple[int, int]]) -> float:
    """Of the chains of a block, over each time that has as many proposals a chain as the block's longest segment: short
    segments, in which a sound chain may accept nothing, are joined with those after them, the last with those before.
    Each is the least number that a chain accepted, and the proposals of a chain; their sums are a lower bound.
    """
    longest, times = max(proposed for _, proposed in segments), [(0, 0)]
    for accepted, proposed in segments:
        if times[-1][1] >= longest:
            times.append((0, 0))
        times[-1] = times[-1][0] + accepted, times[-1][1] + proposed
    if len(times) > 1 and times[-1][1] < longest:
        short = times.pop()
        times[-1] = times[-1][0] + short[0], times[-1][1] + short[1]
    return min(accepted / proposed for accepted, proposed in times)


def ladder_table(program: dict[str, Any], made: dict[str, Any]) -> pa.Table | None:
    """One row a level, from the reference to the density: what was tuned, how often proposals are accepted there, and
    how often a swap with the next level is rejected.
    """
    if "ladder" not in program:
        return None
    ladder = program["ladder"]
    rejection = 1 - made["swapped"] / np.maximum(made["swaps_tried"], 1)
    acceptance = made["level_accepted"] / made["level_proposed"]
    return pa.table(
        {
            "inverse_temperature": ladder["levels"],
            "step_size": [None, *ladder["step_sizes"][1:]],
            "length": [None, *ladder["lengths"][1:]],
            "acceptance": [None, *acceptance[1:].tolist()],
            "swap_rejection": [*rejection.tolist(), None],
        }
    )


def _ladder_metrics(ladder: pa.Table, made: dict[str, Any], num_chains: int) -> dict[str, float]:
    rejection = np.array(ladder["swap_rejection"].to_pylist()[:-1])
    return {
        "ladder/num_levels": len(ladder),
        "ladder/barrier": float(rejection.sum()),
        "ladder/rejection_max": float(rejection.max()),
        "ladder/round_trips": made["round_trips"],
        "ladder/round_trips_per_chain": made["round_trips"] / num_chains,
        "ladder/num_nonfinite_hot": int(made["num_nonfinite_hot"]),
        "ladder/best_num_levels": max(3, math.ceil(2 * float(rejection.sum())) + 1),
    }
