"""What one block of travelling chains does: start from warmed-up points, forget them, keep draws, a segment at a time.

Chains move in white free coordinates w: `z = z(w)` are the free coordinates, and `x = x(z)` the user's own. A
pure function of (program, block, draws, state): whoever runs it, wherever, it returns the same draws.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.mcmc import metropolis
from tasks.mcmc.jump import Jumps
from tasks.mcmc.kernels import KernelName, transition_of
from tasks.mcmc.metropolis import State, Target
from tasks.mcmc.streams import Stream


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


class Leg(NamedTuple):
    """What a segment leaves: kept states by draw, proposals accepted since the draw before, where to go on from, and
    what was counted: proposals that were no numbers, and evaluations of the target a chain.
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
    state = metropolis.init(start, target)
    state, _, num_nonfinite, used = _advance(program, block, 0, state, target, jumps, program.burn_in)
    return _keep(program, block, draws, state, target, jumps, num_nonfinite, used + 1)


def next_leg(
    program: Program, block: int, draws: range, state: dict[str, Tensor], target: Target, jumps: Jumps | None = None
) -> Leg:
    """Go on from the state that the segment before it left."""
    return _keep(program, block, draws, State(**state), target, jumps, 0, 0)


def _keep(
    program: Program,
    block: int,
    draws: range,
    state: State,
    target: Target,
    jumps: Jumps | None,
    num_nonfinite: int,
    num_evaluations: int,
) -> Leg:
    """`thinning` steps before each draw; phase 0 of the stream is the burn-in, phase k + 1 belongs to draw k."""
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    for draw in draws:
        state, accepted, bad, used = _advance(program, block, draw + 1, state, target, jumps, program.thinning)
        kept.append((state.x, state.value, accepted))
        num_nonfinite, num_evaluations = num_nonfinite + bad, num_evaluations + used
    position, value, accepted = (torch.stack(parts) for parts in zip(*kept, strict=True))
    counts = {"num_nonfinite": num_nonfinite, "num_evaluations": num_evaluations}
    return Leg(draws.start, position, value, accepted, state._asdict(), counts)


def _advance(
    program: Program, block: int, phase: int, state: State, target: Target, jumps: Jumps | None, num_steps: int
) -> tuple[State, Int[Tensor, " chain"], int, int]:
    """The chains, proposals that each accepted, those that were no numbers, and evaluations a chain."""
    stream, transition = Stream(program.seed, block, "travel"), transition_of(program.kernel, jumps)
    accepted, num_nonfinite, num_evaluations = torch.zeros(len(state.x), dtype=torch.int32), 0, 0
    for k in range(num_steps):
        state, info, used = transition(stream, phase, k, state, target, program.step_size, program.length)
        accepted += info.is_accepted.cpu()
        num_nonfinite += int((~info.is_finite).sum())
        num_evaluations += used
    return state, accepted, num_nonfinite, num_evaluations
