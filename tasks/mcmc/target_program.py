"""What one block of chains over a user's density does: start from warmed-up points, forget them, and keep draws, a
segment at a time.

Chains move in white free coordinates w: `z = z(w)` are the free coordinates, and `x = x(z)` the user's own. A
pure function of (program, block, draws, state): whoever runs it, wherever, it returns the same draws.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.kernels.kernels import KernelName, Transition, transition_of
from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import overflow


@dataclass(frozen=True)
class Program:
    """The settings that all blocks of a run share; `block_size` chains advance together, with one frozen
    step size and mean length of a trajectory."""

    seed: int
    kernel: KernelName
    step_size: float
    length: float
    block_size: int
    burn_in: int
    num_draws: int
    thinning: int
    draws_per_segment: int


COUNTS = ("num_nonfinite", "num_overflowed", "num_evaluations")


class Leg(NamedTuple):
    """What a segment leaves: kept states by draw, proposals accepted since the draw before, where to go on from, and
    what was counted: proposals with an undefined density, those that overflowed, and evaluations of the target a chain.
    """

    first_draw: int
    position: Float[Tensor, "draw chain free"]
    value: Float[Tensor, "draw chain"]
    accepted: Int[Tensor, "draw chain"]
    state: dict[str, Tensor]
    counts: dict[str, Any]


def first_leg(
    program: Program,
    block: int,
    draws: range,
    start: Float[Tensor, "chain free"],
    target: Target,
    jumps: Jumps | None = None,
) -> Leg:
    """From `start`, `burn_in` steps that are not kept, then draws."""
    state, _, burnt = _advance(program, block, 0, metropolis.init(start, target), target, jumps, program.burn_in)
    return _keep(program, block, draws, state, target, jumps, burnt + np.array([0, 0, 1]))


def next_leg(
    program: Program, block: int, draws: range, state: dict[str, Tensor], target: Target, jumps: Jumps | None = None
) -> Leg:
    """Go on from the state that the segment before it left."""
    return _keep(program, block, draws, State(**state), target, jumps, np.zeros(3, dtype=np.int64))


def _keep(
    program: Program,
    block: int,
    draws: range,
    state: State,
    target: Target,
    jumps: Jumps | None,
    counted: Int[np.ndarray, "3"],
) -> Leg:
    """`thinning` steps before each draw; phase 0 of the stream is the burn-in, phase k + 1 belongs to draw k."""
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    for draw in draws:
        state, accepted, more = _advance(program, block, draw + 1, state, target, jumps, program.thinning)
        kept.append((state.x, state.value, accepted))
        counted = counted + more
    position, value, accepted = (torch.stack(parts) for parts in zip(*kept, strict=True))
    counts: dict[str, Any] = dict(zip(COUNTS, counted.tolist(), strict=True))
    return Leg(draws.start, position, value, accepted, state._asdict(), counts)


def _advance(
    program: Program, block: int, phase: int, state: State, target: Target, jumps: Jumps | None, num_steps: int
) -> tuple[State, Int[Tensor, " chain"], Int[np.ndarray, "3"]]:
    """The chains, proposals that each accepted, and `COUNTS` of all."""
    stream, transition = Stream(program.seed, block, "travel"), transition_of(program.kernel, jumps)
    accepted, counted = torch.zeros(len(state.x), dtype=torch.int32), np.zeros(3, dtype=np.int64)
    for k in range(num_steps):
        before, again = state, partial(_step, program, transition, stream, phase, k, state)
        state, info, used = again(target)
        lost = overflow.sort_out(info, before, target, again)
        accepted += info.is_accepted.cpu()
        counted += (*lost, used)
    return state, accepted, counted


def _step(
    program: Program, transition: Transition, stream: Stream, phase: int, k: int, state: State, target: Target
) -> tuple[State, Info, int]:
    return transition(stream, phase, k, state, target, program.step_size, program.length)
