"""Every picture of chains over a user's own density."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scorefleet.tasks.judging.target_measures import LOG_DENSITY, Draws
from scorefleet.tasks.judging.target_verdict import MIN_ESS
from scorefleet.tasks.mcmc.diagnostics.diagnostics import MIN_DRAWS, bulk_ess, tail_ess
from scorefleet.tasks.reports.figures import chains, target
from scorefleet.tasks.reports.figures.style import Picture

NUM_MARGINALS, NUM_PAIRED, NUM_TRACED, NUM_CUTS = 12, 4, 2, 8


@dataclass(frozen=True)
class Shown:
    """What there is to show: whole chains, the summary of their coordinates, the ladder with its replicas' places
    [level, chain, dim] and round trips by chain, and estimates of log Z by population.
    """

    draws: Draws
    thinning: int
    summary: pa.Table
    ladder: pa.Table | None
    replicas: np.ndarray | None
    round_trips: np.ndarray
    evidence: dict[str, Any] | None
    by_population: np.ndarray

    def names(self, coordinates: list[int]) -> list[str]:
        """What some coordinates are called."""
        return [self.summary["coordinate"][1 + k].as_py() for k in coordinates]  # the first row is the log density's


def pictures_of(shown: Shown) -> dict[str, Picture]:
    """By name: what the draws allow."""
    pictures = [*_density(shown), *_chains(shown), *_ladder(shown)]
    if shown.evidence:
        bounds = (shown.evidence[key] for key in ("log_z", "low", "high"))
        pictures.append(target.evidence(shown.by_population, *bounds))
    return {picture.name: picture for picture in pictures}


def worst_first(summary: pa.Table) -> list[int]:
    """Coordinates by R-hat between starting points, or between chains where there is none, the largest first."""
    key = "rhat" if summary["nested_rhat"].null_count else "nested_rhat"
    return np.argsort(-np.nan_to_num(summary[key].to_numpy()[1:], nan=np.inf), kind="stable").tolist()


def paired(position: np.ndarray, worst: list[int]) -> list[int]:
    """Coordinates whose pairs are shown: all when they are few, else the most correlated pair and the worst."""
    if len(worst) <= NUM_PAIRED:
        return sorted(worst)
    correlation = np.abs(np.corrcoef(position.reshape(-1, position.shape[2]).T))
    np.fill_diagonal(correlation, 0)
    pair = np.unravel_index(np.nan_to_num(correlation).argmax(), correlation.shape)
    return sorted([*map(int, pair), *[k for k in worst if k not in pair]][:NUM_PAIRED])


def _density(shown: Shown) -> list[Picture]:
    position, worst = shown.draws.position, worst_first(shown.summary)
    first = sorted(worst[:NUM_MARGINALS])
    made = [target.marginals(position[:, :, first], shown.names(first))]
    if position.shape[2] > 1:
        chosen = paired(position, worst)
        rows = position.reshape(-1, position.shape[2])[:, chosen]
        made.append(target.scatter_pairs(rows, shown.names(chosen)))
    return made


def _chains(shown: Shown) -> list[Picture]:
    draws, worst = shown.draws, worst_first(shown.summary)
    made = [_traces(draws, draws.position[:, :, k], shown.names([k])[0], f"traces-{k}") for k in worst[:NUM_TRACED]]
    made.append(_traces(draws, draws.log_density, LOG_DENSITY, "traces-density"))
    num_draws = draws.log_density.shape[1]
    if num_draws >= MIN_DRAWS:
        cuts = np.unique(np.linspace(max(MIN_DRAWS, num_draws // NUM_CUTS), num_draws, NUM_CUTS).astype(int))
        values = draws.position[:, :, worst[0]]
        bulk, tail = (np.array([ess(values[:, :cut]) for cut in cuts]) for ess in (bulk_ess, tail_ess))
        acceptance = draws.accepted.mean(1) / shown.thinning
        made.append(target.growth(cuts, bulk, tail, MIN_ESS, acceptance, shown.names(worst)[0]))
    return made


def _traces(draws: Draws, values: np.ndarray, label: str, name: str) -> Picture:
    """Chains that started at different points, and ranks by starting point where chains share one."""
    starts, first = np.unique(draws.superchain, return_index=True)
    groups, label_of_group = values, "chain"
    sizes = np.bincount(np.searchsorted(starts, draws.superchain))
    if sizes.min() > 1:
        groups = np.stack([values[draws.superchain == start][: sizes.min()].ravel() for start in starts])
        label_of_group = "starting point"
    return chains.traces(values[first], groups, name, label, label_of_group)


def _ladder(shown: Shown) -> list[Picture]:
    if shown.ladder is None or shown.replicas is None:
        return []
    level, acceptance, rejection = (
        shown.ladder[name].to_numpy() for name in ("inverse_temperature", "acceptance", "swap_rejection")
    )
    made = [target.ladder(level, acceptance, rejection[:-1], shown.round_trips)]
    worst = worst_first(shown.summary)
    x, y = worst[0], worst[1] if len(worst) > 1 else worst[0]
    return [*made, target.descent(shown.replicas[:, :, [x, y]], level, shown.names([x, y]))]
