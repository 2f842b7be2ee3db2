"""Every picture of the report, from what the steps left behind."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scorefleet.tasks.data.schema import DataSchema
from scorefleet.tasks.judging.quality import coordinate_names
from scorefleet.tasks.judging.verdict import ACCEPTANCE_MARGIN
from scorefleet.tasks.reports.figures import chains, comparisons, images, tables
from scorefleet.tasks.reports.figures.style import Picture
from scorefleet.tasks.store.subsets import vectors

NUM_LEVELS_SHOWN = 10
NUM_WALKERS_SHOWN = 6
NUM_PAIRS = 12


@dataclass(frozen=True)
class Shown:
    """What there is to show: standardised rows [row, dim], tables by name, and the chains that people look at; log
    densities only of a model that has them.
    """

    schema: DataSchema
    train: np.ndarray
    held_out: np.ndarray
    draws: np.ndarray
    draws_log_density: np.ndarray | None
    control_log_density: np.ndarray | None
    ladder: Mapping[str, Any]
    path: pa.Table
    trace: pa.Table
    tables: Mapping[str, pa.Table]
    num_images: int

    @property
    def sigmas(self) -> list[float]:
        """Noise of each level, in standard deviations of the data."""
        return [math.exp(level["logit_beta"] / 2) for level in self.ladder["levels"]]


def pictures_of(shown: Shown) -> dict[str, Picture]:
    """By name: what the data allow."""
    pictures = [*_rows(shown), *_chains(shown), *_comparisons(shown)]
    return {picture.name: picture for picture in pictures}


def _rows(shown: Shown) -> list[Picture]:
    """Data and draws, and the walk: as pictures, curves or scatter plots."""
    columns = shown.schema.columns
    if len(columns) == 1 and images.is_picture(columns[0]):
        return _images(shown)
    names = coordinate_names(shown.schema)
    draws = in_users_units(shown.schema, shown.draws)
    data = in_users_units(shown.schema, np.concatenate([shown.held_out, shown.train])[: len(draws)])
    if shown.schema.is_array:
        return [tables.curves(data, draws)]
    path = vectors(shown.path["position"]).reshape(len(shown.sigmas), -1, shown.schema.dim)
    positions = np.stack([in_users_units(shown.schema, level) for level in path])
    return [tables.pairs(data, draws, names), tables.walk(positions, data, shown.sigmas, names)]


def in_users_units(schema: DataSchema, z: np.ndarray) -> np.ndarray:
    """Standardised [row, dim] in the user's units, neither rounded nor clipped."""
    return z * schema.scale + schema.location


def _images(shown: Shown) -> list[Picture]:
    (column,) = shown.schema.columns
    data, draws = (images.in_users_units(column, z) for z in (shown.held_out, shown.draws))
    train = images.in_users_units(column, shown.train)
    tone = images.Tone.of(column, train)
    count = min(shown.num_images, len(data), len(draws))
    width = math.ceil(math.sqrt(count))
    walk, levels = _walkers(shown)
    alt = f"{NUM_WALKERS_SHOWN} chains, one a row, from pure noise on the left to a draw on the right"
    made = [
        images.grid(data[:count], width, tone, "data", f"A grid of {count} held-out rows of the data."),
        images.grid(draws[:count], width, tone, "draws", f"A grid of {count} draws."),
        images.grid(images.in_users_units(column, walk), len(levels), tone, "walk", alt),
    ]
    if "nearest" in shown.tables:
        made.append(_closest(shown, draws, train, tone))
    return made


def shown_levels(num_levels: int) -> np.ndarray:
    """Indices of the noise levels that a walk shows."""
    return np.unique(np.linspace(0, num_levels - 1, min(num_levels, NUM_LEVELS_SHOWN)).round().astype(int))


def _walkers(shown: Shown) -> tuple[np.ndarray, np.ndarray]:
    path = vectors(shown.path["position"]).reshape(len(shown.sigmas), -1, shown.schema.dim)
    levels = shown_levels(len(path))
    return path[levels, :NUM_WALKERS_SHOWN].swapaxes(0, 1).reshape(-1, shown.schema.dim), levels


def _closest(shown: Shown, draws: np.ndarray, train: np.ndarray, tone: images.Tone) -> Picture:
    """The draws that stand closest to a training row, and that row below each."""
    row, train_row, distance = _nearest(shown, "draws")
    closest = np.argsort(distance, kind="stable")[:NUM_PAIRS]
    pairs = np.concatenate([draws[row[closest]], train[train_row[closest]]])
    return images.grid(
        pairs, len(closest), tone, "closest", "Above, the draws closest to training rows; below, those rows."
    )


def _nearest(shown: Shown, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = shown.tables["nearest"]
    is_named = table["set"].to_numpy() == name
    row, train_row, distance = (table[key].to_numpy()[is_named] for key in ("row", "train_row", "distance"))
    return row, train_row, distance


def _chains(shown: Shown) -> list[Picture]:
    levels = shown.ladder["levels"]
    acceptance, step_size = (np.array([level[key] for level in levels]) for key in ("acceptance", "step_size"))
    sigma, target = np.array(shown.sigmas), shown.ladder["target_acceptance"]
    band = (target - ACCEPTANCE_MARGIN, target + ACCEPTANCE_MARGIN)
    moves = chains.levels(sigma, acceptance, step_size, band)
    if shown.draws_log_density is None or shown.control_log_density is None:
        return [moves]
    path = shown.path["log_density"].to_numpy().reshape(len(levels), -1)
    trace = shown.trace["log_density"].to_numpy()
    num_chains = len(np.unique(shown.trace["chain"].to_numpy()))
    by_chain = trace.reshape(-1, num_chains).T
    return [
        *_swaps(shown.ladder["exchange"], sigma),
        moves,
        chains.descent(sigma, path),
        chains.control_ranks(shown.draws_log_density, shown.control_log_density),
        chains.traces(by_chain, by_chain, "traces", "log density f, nats", "chain"),
    ]


def _swaps(made: Mapping[str, Any] | None, sigma: np.ndarray) -> list[Picture]:
    if made is None:
        return []
    acceptance, swap_rate = (np.array(made[key]) for key in ("acceptance", "swap_rate"))
    return [chains.swaps(sigma[made["levels"]], acceptance, swap_rate)]


def _comparisons(shown: Shown) -> list[Picture]:
    made = []
    if "log_densities" in shown.tables:
        densities = shown.tables["log_densities"]
        is_draw = densities["set"].to_numpy() == "draws"
        values = densities["log_density"].to_numpy()
        made.append(comparisons.energies(values[~is_draw], values[is_draw]))
    if "nearest" in shown.tables:
        made.append(comparisons.distances(_nearest(shown, "held_out")[2], _nearest(shown, "draws")[2]))
    if "classes" in shown.tables:
        table = shown.tables["classes"]
        names = [str(name) for name in table["class"].to_pylist()]
        data, draws = (table[key].to_numpy() for key in ("share_data", "share_draws"))
        made.append(comparisons.classes(names, data, draws, len(shown.draws)))
    return made
