"""A window of a warm-up: transitions with what is tuned so far, and what they tell."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.keep import LARGEST_STEP, is_jump, transition
from scorefleet.tasks.mcmc.kernels.adaptation import StepSize
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target, acceptance_probability
from scorefleet.tasks.mcmc.streams import Stream

TARGET_ACCEPTANCE, SMALLEST_STEP, LENGTH = 0.8, 0.03, 1.75
"""More than the .65 of many equal dimensions: where the bulk is nearly normal, all that is refused is in the tails."""


class Tuned(NamedTuple):
    """What is learned, and then frozen; step size, length of trajectories and jumps are in white coordinates."""

    coordinates: Coordinates
    step_size: float
    length: float
    jumps: Jumps | None = None


def in_precision(part: Any, dtype: torch.dtype) -> Any:
    """The same, with every floating-point tensor in `dtype`."""
    if isinstance(part, Tensor):
        return part.to(dtype) if part.is_floating_point() else part
    return type(part)(*(in_precision(inner, dtype) for inner in part)) if isinstance(part, tuple) else part


class Window(NamedTuple):
    """The chains after a window; draws and scores without the first quarter; the mean acceptance of each chain's
    trajectories, and of the jumps of all, NaN where there were none; the step size; and evaluations.
    """

    state: State
    x: Float[Tensor, "draw chain dim"]
    score: Float[Tensor, "draw chain dim"]
    acceptance: Float[Tensor, " chain"]
    jump_acceptance: float
    step_size: float
    num_gradients: int


def run_window(stream: Stream, phase: int, state: State, target: Target, tuned: Tuned, num_gradients: int) -> Window:
    """Transitions until `num_gradients` are used, with a step size that follows the acceptance of trajectories."""
    white, pulled = tuned.coordinates.pull_state(state), tuned.coordinates.pull(target)
    size, states, used = StepSize(tuned.step_size, TARGET_ACCEPTANCE), [], 0
    moved, jumped = [torch.zeros(0, len(state.x)).to(state.value)], [torch.zeros(0).to(state.value)]
    while used < num_gradients:
        index = len(states)
        white, info, steps = transition(stream, phase, index, white, pulled, size.step_size, tuned.length, tuned.jumps)
        accepted = acceptance_probability(info)
        if is_jump(stream, phase, index, tuned.jumps):
            jumped.append(accepted)
        else:
            moved.append(accepted[None])
            size.update(float(accepted.mean()))
            size.step_size = min(max(size.step_size, SMALLEST_STEP), LARGEST_STEP)
        states.append(tuned.coordinates.push_state(white))
        used += steps
    later = states[len(states) // 4 :]
    x, score = torch.stack([s.x for s in later]), torch.stack([s.score for s in later])
    acceptance, jump_acceptance = torch.cat(moved).mean(0), float(torch.cat(jumped).mean())
    return Window(states[-1], x, score, acceptance, jump_acceptance, size.step_size, used)
