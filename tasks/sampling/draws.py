"""Turns chain states into rows of a sample store."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from scorefleet.tasks.data.schema import DataSchema
from scorefleet.tasks.ebm import noise
from scorefleet.tasks.ebm.model import ScoreModel, Trained
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.mcmc.noise_ladder.annealing import Annealed, LevelStats
from scorefleet.tasks.mcmc.noise_ladder.program import Program, Segment
from scorefleet.tasks.sampling.composition import Composition


def to_table(
    segment: Segment, program: Program, chains: range, model: Trained | Composition, schema: DataSchema
) -> pa.Table:
    """One row a kept draw, ordered by draw and chain, of `chains`, the first of their block; the others are dropped.

    The user's columns hold the denoised draw `E[x|x']` (11.13) in the user's units and types; `position` holds the
    draw itself. Without a density there is neither `log_density` nor `log_weight`.
    """
    kept = len(chains)
    position = segment.draws.position
    draws, dim = len(position), schema.dim
    flat = at_lowest(model.whole, position, program)[:, :kept].reshape(-1, dim)
    chain = np.tile(np.array(chains, dtype=np.int64), draws)
    draw = np.repeat(np.arange(segment.first_draw, segment.first_draw + draws, dtype=np.int32), kept)
    denoised = _denoised(model, segment, program)[:, :kept].reshape(-1, dim)
    if not denoised.isfinite().all():
        raise DataError(
            f"the model has no finite score where chains {chains.start} to {chains.stop - 1} went: train it again, "
            "with a lower train.learning_rate or more rows"
        )
    densities = {
        "log_density": _flat(segment.draws.log_density, kept),
        "log_weight": np.tile(segment.chains.log_weight[:kept].cpu().numpy(), draws),
    }
    return pa.table(
        schema.decode(denoised.numpy())
        | {
            "chain": chain,
            "superchain": chain,  # every chain has a start of its own
            "draw": draw,
            "position": vectors(flat),
            **({} if isinstance(model, ScoreModel) else densities),
            "accepted": _flat(segment.draws.accepted, kept),
        }
    )


def _flat(values: Tensor, kept: int) -> np.ndarray:
    return values[:, :kept].reshape(-1).cpu().numpy()


def _denoised(model: Trained | Composition, segment: Segment, program: Program) -> Tensor:
    """`E[x|x']` of kept positions [draw, chain, dim]: of a model by the scores that its chains have, times the
    temperature of the density that they walk on; of a composition by those of its parts, which have to be evaluated.
    """
    draws = segment.draws
    if isinstance(model, Composition):
        return at_lowest(model.denoise, draws.position, program)
    x, score = (rows.flatten(0, 1) for rows in (draws.position, program.ladder.temperature * draws.score))
    level = torch.full((len(x),), program.ladder.levels[-1], device=x.device)
    return noise.denoise(x, score, level).reshape(draws.position.shape).cpu()


def at_lowest(rows_of: Callable[[Tensor, Tensor], Tensor], position: Tensor, program: Program) -> Tensor:
    """What a model makes of kept positions [draw, chain, dim], a whole block at a time as the chains were advanced."""
    level = torch.full((program.block_size,), program.ladder.levels[-1], device=position.device)
    return torch.stack([rows_of(x, level) for x in position]).cpu()


def vectors(rows: Tensor) -> pa.FixedSizeListArray:
    """Rows [row, dim] as a FixedSizeList<float32> column."""
    values = pa.array(np.ascontiguousarray(rows.numpy(), dtype=np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, rows.shape[1])


def level_facts(stats: list[LevelStats], num_steps: int, kept: int) -> list[dict[str, float]]:
    """What a block's steps did at each level: for the manifest, so without anything that differs by machine."""
    return [
        {
            "accepted": int(level.accepted.sum()),
            "probability": level.probability,
            "proposed": num_steps * len(level.accepted),
            "min_accepted": int(level.accepted[:kept].min()),
            "num_stuck": int((level.accepted[:kept] == 0).sum()),
            "num_nonfinite": level.num_nonfinite,
        }
        for level in stats
    ]


def exchange_facts(segment: Segment) -> dict[str, Any]:
    """What the rounds of a segment did: steps at each exchanged level, swaps of each pair, round trips so far."""
    probability = np.array([[level.probability for level in info.stats] for info in segment.rounds])
    rejection = np.array([info.rejection for info in segment.rounds])
    round_trips = segment.chains.replicas.round_trips
    return {
        "exchange": {
            "num_rounds": len(segment.rounds),
            "probability": probability.sum(0).tolist(),
            "tried": np.isfinite(rejection).sum(0).tolist(),
            "swapped": np.nansum(1 - rejection, axis=0).tolist(),
            "round_trips": int(round_trips.sum()),
            "num_chains": len(round_trips),
        }
    }


def path_table(walk: Annealed) -> pa.Table:
    """Chains on their way down: one row a level and chain."""
    position = torch.stack([state.x for state in walk.path]).cpu()
    num_levels, num_chains, dim = position.shape
    return pa.table(
        {
            "level": np.repeat(np.arange(num_levels, dtype=np.int32), num_chains),
            "chain": np.tile(np.arange(num_chains, dtype=np.int32), num_levels),
            "position": vectors(position.reshape(-1, dim)),
            "log_density": torch.stack([state.value for state in walk.path]).reshape(-1).cpu().numpy(),
        }
    )


def trace_table(stay: Segment) -> pa.Table:
    """Chains after their arrival at the lowest level: one row a draw and chain."""
    num_draws, num_chains, dim = stay.draws.position.shape
    return pa.table(
        {
            "draw": np.repeat(np.arange(num_draws, dtype=np.int32), num_chains),
            "chain": np.tile(np.arange(num_chains, dtype=np.int32), num_draws),
            "position": vectors(stay.draws.position.cpu().reshape(-1, dim)),
            "log_density": stay.draws.log_density.reshape(-1).cpu().numpy(),
        }
    )


def summarise_exchange(program: Program, blocks: Iterable[list[dict[str, Any]]]) -> dict[str, Any]:
    """All blocks' facts about exchange, of their segments in order: `acceptance` of the steps at the exchanged levels,
    `swap_rate` of each with the next lower one, and round trips, which the last segment has counted from the start.
    """
    total = dict.fromkeys(("probability", "tried", "swapped"), np.zeros(()))
    proposed, num_chains, round_trips = 0, 0, 0
    for segments in blocks:
        for fact in segments:
            total = {key: sums + np.array(fact[key]) for key, sums in total.items()}
            proposed += fact["num_rounds"] * fact["num_chains"]
        num_chains += segments[-1]["num_chains"]
        round_trips += segments[-1]["round_trips"]
    return {
        "levels": list(program.ladder.exchanged),
        "rounds": program.exchange_rounds + (program.num_draws - 1) * program.thinning,
        "acceptance": (total["probability"] / proposed).tolist(),
        "swap_rate": (total["swapped"] / total["tried"]).tolist(),
        "round_trips_per_chain": round_trips / num_chains,
    }


SUMMED = ("probability", "proposed", "num_stuck", "num_nonfinite")


def summarise_levels(program: Program, facts: Iterable[list[dict[str, float]]]) -> list[dict[str, Any]]:
    """All blocks' facts about each level, from the highest noise to the lowest."""
    ladder = program.ladder
    totals = [dict.fromkeys(SUMMED, 0.0) | {"min_accepted": np.inf} for _ in ladder.levels]
    for block in facts:
        for total, level in zip(totals, block, strict=True):
            total.update({key: total[key] + level[key] for key in SUMMED})
            total["min_accepted"] = min(total["min_accepted"], level["min_accepted"])
    return [
        {
            "logit_beta": logit_beta,
            "beta": 1 / (1 + float(np.exp(-logit_beta))),
            "step_size": step_size,
            "acceptance": total["probability"] / total["proposed"],
            "min_chain_acceptance": total["min_accepted"] / program.steps_per_level,
            "num_nonfinite": int(total["num_nonfinite"]),
            "num_stuck": int(total["num_stuck"]),
        }
        for logit_beta, step_size, total in zip(ladder.levels, ladder.step_sizes, totals, strict=True)
    ]
