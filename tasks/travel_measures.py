"""Measures chains that travel over a user's own density: what the verdict rests on, a summary of every coordinate, and
how the ladder went.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from tasks.convergence import of_largest_superchains
from tasks.mcmc import diagnostics
from tasks.store.manifest import Entry, SampleStore
from tasks.subsets import vectors, whole_chains
from tasks.travel_verdict import Travel

MAX_VALUES, MAX_NUMBERS = 200_000, 20_000_000
"""Draws that diagnostics look at, and numbers in them; all of whole chains."""

LOG_DENSITY = "log density"


class Draws(NamedTuple):
    """Whole chains of a store, in the user's own coordinates."""

    position: Float[np.ndarray, "chain draw dim"]
    log_density: Float[np.ndarray, "chain draw"]
    accepted: Int[np.ndarray, "chain draw"]
    superchain: Int[np.ndarray, " chain"]


class Measured(NamedTuple):
    """`tables` are `summary`, one row a coordinate, and `ladder`, one row a level, where there is a ladder."""

    travel: Travel
    metrics: dict[str, float]
    tables: dict[str, pa.Table]


def measure_travel(store: SampleStore) -> Measured:
    """Read the draws, and what their segments recorded."""
    description, facts = store.description(), [entry.facts for entry in store.entries()]
    draws = read_draws(store)
    summary = summarise(draws)
    ladder = ladder_table(description["program"], facts)
    accepted, proposed = (sum(fact[key] for fact in facts) for key in ("accepted", "proposed"))
    mixing = _mixing(summary)
    travel = Travel(
        rhat=mixing["chains/rhat_max"],
        nested_rhat=mixing.get("chains/nested_rhat_max"),
        num_starts=len(np.unique(draws.superchain)),
        bulk_ess=mixing["chains/bulk_ess_min"],
        tail_ess=mixing["chains/tail_ess_min"],
        acceptance=accepted / proposed,
        min_chain_acceptance=min(fact["min_accepted"] / fact["proposed_per_chain"] for fact in facts),
        num_nonfinite=sum(fact["num_nonfinite"] for fact in facts),
        num_round_trips=sum(sum(fact["round_trips"]) for fact in facts) if ladder else None,
    )
    gradients = gradients_per_chain(store.entries())
    metrics = mixing | {
        "chains/is_exact": float(description["is_exact"]),
        "chains/acceptance": travel.acceptance,
        "chains/min_chain_acceptance": travel.min_chain_acceptance,
        "chains/num_nonfinite": travel.num_nonfinite,
        "chains/gradients_per_chain": gradients,
        "chains/ess_per_1000_gradients": 1000 * travel.bulk_ess / (len(draws.position) * gradients),
    }
    if ladder:
        metrics |= _ladder_metrics(ladder, facts, description["num_chains"])
    metrics |= {f"evidence/{key}": value for key, value in (description["evidence"] or {}).items()}
    return Measured(travel, metrics, {"summary": summary} | ({"ladder": ladder} if ladder else {}))


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


def summarise(draws: Draws) -> pa.Table:
    """Mean, standard deviation and quantiles with their Monte Carlo standard errors, R-hat and effective sample sizes,
    of the log density and of every coordinate.
    """
    is_even = of_largest_superchains(draws.superchain)
    superchain = draws.superchain[is_even]
    is_nested = len(np.unique(superchain)) not in (1, len(superchain))
    dim = draws.position.shape[2]
    named = {LOG_DENSITY: draws.log_density} | {f"x[{k}]": draws.position[:, :, k] for k in range(dim)}
    rows = []
    for name, values in named.items():
        nested = diagnostics.nested_rhat(values[is_even], superchain) if is_nested else None
        rows.append({"coordinate": name} | _moments(values) | _rhats(values) | {"nested_rhat": nested})
    return pa.Table.from_pylist(rows)


def _moments(values: Float[np.ndarray, "chain draw"]) -> dict[str, float]:
    row = {
        "mean": float(values.mean()),
        "mean_error": diagnostics.mean_error(values),
        "sd": float(values.std()),
        "sd_error": diagnostics.sd_error(values),
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
    """The log density's own numbers, which stand in the first row, and the worst of it and the coordinates."""
    first = summary.slice(0, 1)
    metrics = {f"chains/{name}_log_density": _largest(first, name) for name in ("rhat", "bulk_ess", "tail_ess")}
    metrics |= {"chains/rhat_max": _largest(summary, "rhat")}
    metrics |= {f"chains/{name}_min": _least(summary, name) for name in ("bulk_ess", "tail_ess")}
    if summary["nested_rhat"].null_count == 0:
        metrics["chains/nested_rhat_log_density"] = _largest(first, "nested_rhat")
        metrics["chains/nested_rhat_max"] = _largest(summary, "nested_rhat")
    return metrics


def gradients_per_chain(entries: list[Entry]) -> float:
    """Evaluations of the density and its gradient a chain after the warm-up, replicas and all."""
    num_blocks = 1 + max(entry.block for entry in entries)
    return sum(entry.facts["num_evaluations"] for entry in entries) / num_blocks


def ladder_table(program: dict[str, Any], facts: list[dict[str, Any]]) -> pa.Table | None:
    """One row a level, from the reference to the density: what was tuned, how often proposals are accepted there, and
    how often a swap with the next level is rejected.
    """
    if "ladder" not in program:
        return None
    ladder = program["ladder"]
    accepted, swapped, tried = (
        np.sum([fact[key] for fact in facts], axis=0) for key in ("level_accepted", "swapped", "swaps_tried")
    )
    rejection = 1 - swapped / np.maximum(tried, 1)
    acceptance = accepted / sum(fact["level_proposed"] for fact in facts)
    return pa.table(
        {
            "inverse_temperature": ladder["levels"],
            "step_size": [None, *ladder["step_sizes"][1:]],
            "length": [None, *ladder["lengths"][1:]],
            "acceptance": [None, *acceptance[1:].tolist()],
            "swap_rejection": [*rejection.tolist(), None],
        }
    )


def _ladder_metrics(ladder: pa.Table, facts: list[dict[str, Any]], num_chains: int) -> dict[str, float]:
    rejection = np.array(ladder["swap_rejection"].to_pylist()[:-1])
    trips = sum(sum(fact["round_trips"]) for fact in facts)
    return {
        "ladder/num_levels": len(ladder),
        "ladder/barrier": float(rejection.sum()),
        "ladder/rejection_max": float(rejection.max()),
        "ladder/round_trips": trips,
        "ladder/round_trips_per_chain": trips / num_chains,
        "ladder/num_nonfinite_hot": sum(fact["num_nonfinite_hot"] for fact in facts),
        "ladder/best_num_levels": max(3, math.ceil(2 * float(rejection.sum())) + 1),
    }
