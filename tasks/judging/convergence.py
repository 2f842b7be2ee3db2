"""Measures the chains of a finished sample step: what the verdict rests on, and what stands beside it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import stats

from scorefleet.tasks.dag.artifacts import Samples
from scorefleet.tasks.judging.verdict import NUM_TESTS, Measurements
from scorefleet.tasks.mcmc.diagnostics import diagnostics
from scorefleet.tasks.mcmc.diagnostics.twosample import energy_test
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.subsets import one_draw_per_chain, vectors, whole_chains

MAX_CHAINS = 2000
"""Chains that tests look at; the cost of their permutations grows with the square."""

MAX_COORDINATES = 64
MAX_VALUES = 50_000


@dataclass(frozen=True)
class Chains:
    """`draws` has one draw a chain; `metrics` holds the measured numbers; `levels` one row a noise level."""

    measurements: Measurements
    metrics: dict[str, float]
    draws: pa.Table
    levels: pa.Table


def measure(samples: Samples, false_alarm_rate: float, seed: int) -> Chains:
    """Read draws, control draws and ladder, and test the first two against each other."""
    assert samples.control_uri is not None
    store, control_store = (SampleStore(uri, writable=False) for uri in (samples.uri, samples.control_uri))
    draws = one_draw_per_chain(store, MAX_CHAINS, seed)
    control = one_draw_per_chain(control_store, MAX_CHAINS, seed)
    level = false_alarm_rate / NUM_TESTS
    test = energy_test(vectors(draws["position"]), vectors(control["position"]), level, seed)
    ladder = read_ladder(samples)
    measurements = _measurements(store, ladder, test.p_value, min(len(draws), len(control)))
    metrics = {
        "chains/is_exact": float(store.description()["is_exact"]),
        "chains/gradients_per_chain": ladder["gradients_per_chain"],
        "chains/temperature": ladder["temperature"],
        "chains/control_p_value": test.p_value,
        "chains/control_energy_distance": test.distance,
        "chains/acceptance_min": min(measurements.acceptance),
        "chains/acceptance_max": max(measurements.acceptance),
        "chains/num_stuck_max": max(measurements.num_stuck),
        "chains/num_nonfinite": measurements.num_nonfinite,
    }
    if "log_density" in draws.column_names:
        metrics["chains/control_log_density_p_value"] = _log_density_p_value(draws, control)
        metrics |= _weights(draws["log_weight"].to_numpy())
    metrics |= _mixing(store) | _exchange(ladder["exchange"])
    return Chains(measurements, metrics, draws, pa.Table.from_pylist(_rows_of_levels(ladder)))


def _log_density_p_value(draws: pa.Table, control: pa.Table) -> float:
    """Kolmogorov-Smirnov test in the one direction in which a hasty descent shows first."""
    return float(stats.ks_2samp(draws["log_density"].to_numpy(), control["log_density"].to_numpy()).pvalue)


def read_ladder(samples: Samples) -> dict[str, Any]:
    """How the chains went down the noise levels."""
    return json.loads((Path(samples.beside) / "draws-ladder.json").read_bytes())


def _measurements(store: SampleStore, ladder: dict[str, Any], p_value: float, num_judged: int) -> Measurements:
    levels, description = ladder["levels"], store.description()
    on_the_way = sum(level["num_nonfinite"] for level in levels[:-1])
    return Measurements(
        control_p_value=p_value,
        num_judged=num_judged,
        num_chains=description["num_chains"],
        num_steps=description["program"]["steps_per_level"],
        target_acceptance=ladder["target_acceptance"],
        acceptance=tuple(level["acceptance"] for level in levels),
        num_stuck=tuple(level["num_stuck"] for level in levels),
        num_nonfinite=on_the_way + sum(entry.facts["num_nonfinite"] for entry in store.each_entry()),
        flaw=KERNELS[description["kernel"]].flaw,
        swap_rates=tuple(ladder["exchange"]["swap_rate"]) if ladder["exchange"] else (),
    )


def _exchange(made: dict[str, Any] | None) -> dict[str, float]:
    """How well replicas travelled; nothing where none did. The barrier is the sum of the rejection rates."""
    if made is None:
        return {}
    return {
        "chains/round_trips_per_chain": made["round_trips_per_chain"],
        "chains/swap_rate_min": min(made["swap_rate"]),
        "chains/swap_rate_max": max(made["swap_rate"]),
        "chains/exchange_barrier": sum(1 - rate for rate in made["swap_rate"]),
        "chains/exchange_levels": len(made["levels"]),
        "chains/exchange_rounds": made["rounds"],
    }


def _rows_of_levels(ladder: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a noise level; where replicas were exchanged also their acceptance, and the swaps with the next lower
    level that had replicas.
    """
    levels, made = ladder["levels"], ladder["exchange"]
    if made is None:
        return levels
    acceptance = dict(zip(made["levels"], made["acceptance"], strict=True))
    swap_rate = dict(zip(made["levels"], made["swap_rate"], strict=False))
    return [
        level | {"exchange_acceptance": acceptance.get(k), "swap_rate": swap_rate.get(k)}
        for k, level in enumerate(levels)
    ]


def _weights(log_weight: np.ndarray) -> dict[str, float]:
    """How evenly the annealing weights lie, and the log normaliser of `exp f` at the lowest noise that they
    estimate.
    """
    log_z, error = diagnostics.log_mean_exp(log_weight)
    return {
        "chains/weights_ess_fraction": diagnostics.weights_ess(log_weight) / len(log_weight),
        "chains/log_z": log_z,
        "chains/log_z_standard_error": error,
    }


def _mixing(store: SampleStore) -> dict[str, float]:
    """R-hat and effective sample sizes of the log density, if there is one, and their worst over coordinates, where
    chains are long enough.
    """
    description = store.description()
    num_draws = description["program"]["num_draws"]
    if num_draws < diagnostics.MIN_DRAWS:
        return {}
    num_chains = min(description["num_chains"], max(4, MAX_VALUES // num_draws))
    table = whole_chains(store, num_chains)
    superchain = table["superchain"].to_numpy().reshape(num_chains, num_draws)[:, 0]
    position = vectors(table["position"]).reshape(num_chains, num_draws, -1)
    shown = np.linspace(0, position.shape[2] - 1, min(position.shape[2], MAX_COORDINATES)).astype(int)
    coordinates = [position[:, :, k] for k in shown if np.ptp(position[:, :, k]) > 0]  # a fixed one does not mix
    metrics = {
        "chains/rhat_max": max(diagnostics.split_rhat(x) for x in coordinates),
        "chains/bulk_ess_min": min(diagnostics.bulk_ess(x) for x in coordinates),
        "chains/tail_ess_min": min(diagnostics.tail_ess(x) for x in coordinates),
    }
    is_nested = len(np.unique(superchain)) not in (1, num_chains)
    if is_nested:
        nested = max(diagnostics.nested_rhat(x, superchain) for x in coordinates)
        metrics["chains/nested_rhat_max"] = nested
    if "log_density" not in table.column_names:
        return metrics
    log_density = table["log_density"].to_numpy().reshape(num_chains, num_draws)
    metrics |= {
        "chains/rhat_log_density": diagnostics.split_rhat(log_density),
        "chains/bulk_ess_log_density": diagnostics.bulk_ess(log_density),
        "chains/tail_ess_log_density": diagnostics.tail_ess(log_density),
    }
    if is_nested:
        nested = diagnostics.nested_rhat(log_density, superchain)
        metrics["chains/nested_rhat_log_density"] = nested
        metrics["chains/nested_rhat_max"] = max(nested, metrics["chains/nested_rhat_max"])
    return metrics
