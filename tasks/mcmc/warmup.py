"""Warm-up from a cold start, all chains together: climb, rescue, learn the metric and the step size, freeze.

1. *Climb* (`descent`): every chain starts at a draw of the best Gaussian on its way to a maximum.
2. *Rescue*: chains that stuck far from the mass of the others start at another's draw.
3. *Metric* (`metric`): windows of 16, 32, 64 and 128 gradients, the first quarter of each dropped; after each the
   metric of the draws and scores of all chains, and the length of trajectories; stuck chains start at another's place.
4. *Step size*: Robbins-Monro on the mean acceptance during every window, and for 64 gradients more with the last
   metric.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.mcmc import descent, metric, metropolis, rescue
from tasks.mcmc.adaptation import StepSize
from tasks.mcmc.keep import transition
from tasks.mcmc.metropolis import State, Target, acceptance_probability
from tasks.mcmc.preconditioning import Whitening, identity
from tasks.mcmc.streams import Stream

WINDOWS, STEP_WINDOW, TARGET_ACCEPTANCE, MAX_CLIMB = (16, 32, 64, 128), 64, 0.75, 100
START_WIDTH, SMALLEST_STEP, LENGTH = 2.0, 0.03, 1.5
STARTS, CLIMB, RESCUE, FIRST_WINDOW = range(4)


class Warm(NamedTuple):
    """Chains that are warm, in the coordinates of the target; what was learned and is now frozen; and what it cost."""

    state: State
    whitening: Whitening
    step_size: float
    length: float
    num_gradients: int


class Window(NamedTuple):
    """The chains after a window, its draws and scores without the first quarter, mean acceptance, and the step size."""

    state: State
    x: Float[Tensor, "row dim"]
    score: Float[Tensor, "row dim"]
    acceptance: Float[Tensor, " chain"]
    step_size: float
    num_gradients: int


def cold_start(stream: Stream, num_chains: int, dim: int) -> Float[Tensor, "chain dim"]:
    """Uniform on (-2, 2), in float64."""
    return START_WIDTH * (2 * stream.at(STARTS, 0).uniform(num_chains, dim) - 1)


def run_window(
    stream: Stream,
    phase: int,
    state: State,
    target: Target,
    whitening: Whitening,
    step_size: float,
    length: float,
    num_gradients: int,
) -> Window:
    """Transitions until `num_gradients` are used, with a step size that follows the acceptance."""
    white, pulled = whitening.pull_state(state), whitening.pull(target)
    tuned, states, used = StepSize(step_size, TARGET_ACCEPTANCE), [], 0
    acceptance = torch.zeros_like(state.value)
    while used < num_gradients:
        white, info, steps = transition(stream, phase, len(states), white, pulled, tuned.step_size, length)
        accepted = acceptance_probability(info)
        acceptance += accepted
        tuned.update(float(accepted.mean()))
        tuned.step_size = max(tuned.step_size, SMALLEST_STEP)
        states.append(whitening.push_state(white))
        used += steps
    later = states[len(states) // 4 :]
    x, score = torch.cat([s.x for s in later]), torch.cat([s.score for s in later])
    return Window(states[-1], x, score, acceptance / len(states), tuned.step_size, used)


def widest(whitening: Whitening, x: Float[Tensor, "row dim"]) -> float:
    """The largest standard deviation of draws in white units: 1 on a Gaussian, more where scores made the metric
    narrower than the draws.
    """
    covariance = metric.shrunk_covariance(whitening.to_white(x))
    return max(1.0, float(torch.linalg.eigvalsh(covariance)[-1]) ** 0.5)


def warm_up(stream: Stream, target: Target, x: Float[Tensor, "chain dim"]) -> Warm:
    """Chains that start cold at `x` (see `cold_start`), warmed up together: a pure function of (stream, x)."""
    start = metropolis.init(x, target)
    best, used = descent.descend(stream, CLIMB, start, target, MAX_CLIMB)
    state = rescue.restart(stream.at(RESCUE, 0), best.state, rescue.is_far(best.elbo, x.shape[1]))
    whitening = metric.learn(identity(x.shape[1], x.dtype), state.x, state.score)
    step_size, length, used = x.shape[1] ** -0.25, LENGTH, used + 1
    for i, size in enumerate(WINDOWS):
        window = run_window(stream, FIRST_WINDOW + i, state, target, whitening, step_size, length, size)
        state = rescue.restart(stream.at(RESCUE, i + 1), window.state, rescue.is_stuck(window.acceptance))
        whitening = metric.learn(whitening, window.x, window.score)
        step_size, used = window.step_size, used + window.num_gradients
        length = LENGTH * widest(whitening, window.x)
    last = run_window(stream, FIRST_WINDOW + len(WINDOWS), state, target, whitening, step_size, length, STEP_WINDOW)
    return Warm(last.state, whitening, last.step_size, length, used + last.num_gradients)
