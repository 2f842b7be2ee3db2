"""What one block of chains does: walk down the ladder, then keep draws at the lowest level, a segment at a time.

A pure function of (program, block, segment, state): whoever runs it, wherever, it returns the same draws.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.mcmc.annealing import Annealed, Ladder, LevelStats, TargetAt, adjust, anneal
from tasks.mcmc.metropolis import State
from tasks.mcmc.streams import Stream


@dataclass(frozen=True)
class Program:
    """The settings that all blocks of a run share; `block_size` chains advance together. Whoever runs it gives it
    densities to the power `1/ladder.temperature`.
    """

    seed: int
    purpose: str
    ladder: Ladder
    steps_per_level: int
    block_size: int
    dim: int
    num_draws: int
    thinning: int
    draws_per_segment: int

    @property
    def num_segments(self) -> int:
        """Commits a block."""
        return -(-self.num_draws // self.draws_per_segment)


class Draws(NamedTuple):
    """Kept draws, in the order they were drawn; `accepted` counts proposals since the chain's previous draw."""

    position: Float[Tensor, "draw chain dim"]
    log_density: Float[Tensor, "draw chain"]
    accepted: Int[Tensor, "draw chain"]
    num_nonfinite: int


class Segment(NamedTuple):
    """What a segment leaves: its draws, the chains' state and weights to go on from, statistics by level, and the
    evaluations of energy and gradient that it took a chain.
    """

    first_draw: int
    draws: Draws
    state: State
    log_weight: Float[Tensor, " chain"]
    stats: list[LevelStats]
    num_gradients: int


def first_segment(program: Program, block: int, target_at: TargetAt, device: torch.device | str) -> Segment:
    """From N(0, I) down the ladder; the state at its foot is the first draw."""
    arrived = descend_ladder(program, block, target_at, device)
    draws = [(arrived.state, arrived.stats[-1])]
    made = _keep(program, block, 0, draws, arrived.state, arrived.log_weight, arrived.stats, target_at)
    return made._replace(num_gradients=made.num_gradients + arrived.num_gradients)


def next_segment(
    program: Program, block: int, segment: int, state: State, log_weight: Tensor, target_at: TargetAt
) -> Segment:
    """Go on from the state that the segment before it left."""
    return _keep(program, block, segment, [], state, log_weight, [], target_at)


def descend_ladder(program: Program, block: int, target_at: TargetAt, device: torch.device | str) -> Annealed:
    """A block's way down, before anything is kept."""
    stream = Stream(program.seed, block, program.purpose)
    steps, size = program.steps_per_level, program.block_size
    return anneal(stream, target_at, program.ladder, steps, size, program.dim, device)


def _keep(
    program: Program,
    block: int,
    segment: int,
    kept: list[tuple[State, LevelStats]],
    state: State,
    log_weight: Tensor,
    stats: list[LevelStats],
    target_at: TargetAt,
) -> Segment:
    """Draws of `segment`: `thinning` steps before each, at the lowest level, with its frozen step size."""
    first = segment * program.draws_per_segment
    end = min(first + program.draws_per_segment, program.num_draws)
    stream = Stream(program.seed, block, program.purpose)
    target, move, num_gradients = target_at(program.ladder.levels[-1]), program.ladder.move(-1), 0
    for draw in range(first + len(kept), end):
        phase = len(program.ladder.levels) + draw
        state, level_stats = adjust(stream, phase, state, target, move, program.thinning)
        num_gradients += level_stats.num_gradients
        kept.append((state, level_stats))
    draws = Draws(
        torch.stack([state.x for state, _ in kept]),
        torch.stack([state.value for state, _ in kept]),
        torch.stack([level_stats.accepted for _, level_stats in kept]),
        sum(level_stats.num_nonfinite for _, level_stats in kept),
    )
    return Segment(first, draws, state, log_weight, stats, num_gradients)
