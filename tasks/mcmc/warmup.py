"""Warm-up from a cold start, all chains together: climb, rescue, disperse, learn coordinates, step size and jumps, freeze.

1. *Climb* (`descent`): every chain starts at a draw of the best Gaussian on its way to a maximum.
2. *Rescue*: chains that stuck far from the mass of the others start at another's draw.
3. *Metric* (`metric`): windows of gradients, the first quarter of each dropped; after each the metric of the draws and
   scores of all chains, and the length of trajectories; stuck chains start at another's place.
4. *Disperse*: after the first window the chains heat up and climb again, which finds modes far from the first.
5. *Bend and jumps* (`bend`, `mixture`): after the later windows coordinates are straightened where the draws ask for it,
   and a mixture of Gaussians is fitted, from which the next window's chains jump.
6. *Step size*: Robbins-Monro on the mean acceptance of trajectories during every window.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.mcmc import bend, descent, metric, metropolis, mixture, rescue
from tasks.mcmc.adaptation import StepSize
from tasks.mcmc.coordinates import Coordinates
from tasks.mcmc.disperse import disperse
from tasks.mcmc.jump import Jumps
from tasks.mcmc.keep import is_jump, transition
from tasks.mcmc.metropolis import State, Target, acceptance_probability
from tasks.mcmc.preconditioning import Whitening, identity
from tasks.mcmc.streams import Stream

AFFINE_WINDOWS, WINDOWS, TARGET_ACCEPTANCE, MAX_CLIMB = (16, 32), (64, 64, 96, 128), 0.75, 100
START_WIDTH, SMALLEST_STEP, LENGTH, MOST_BENT, FEWEST_JUMPS = 2.0, 0.03, 1.5, 50, 0.02
STARTS, CLIMB, DISPERSE, SECOND_CLIMB, RESCUE, FITS, FIRST_WINDOW = range(7)


class Tuned(NamedTuple):
    """What is learned, and then frozen; step size, length of trajectories and jumps are in the white coordinates."""

    coordinates: Coordinates
    step_size: float
    length: float
    jumps: Jumps | None


class Warm(NamedTuple):
    """Chains that are warm, in the coordinates of the target; what was learned; and what it cost."""

    state: State
    tuned: Tuned
    num_gradients: int


class Window(NamedTuple):
    """The chains after a window, its draws and scores without the first quarter, the mean acceptance of each chain's
    trajectories and of all jumps, and the step size.
    """

    state: State
    x: Float[Tensor, "draw chain dim"]
    score: Float[Tensor, "draw chain dim"]
    acceptance: Float[Tensor, " chain"]
    jump_acceptance: float
    step_size: float
    num_gradients: int


def cold_start(stream: Stream, num_chains: int, dim: int) -> Float[Tensor, "chain dim"]:
    """Uniform on (-2, 2), in float64."""
    return START_WIDTH * (2 * stream.at(STARTS, 0).uniform(num_chains, dim) - 1)


def run_window(stream: Stream, phase: int, state: State, target: Target, tuned: Tuned, num_gradients: int) -> Window:
    """Transitions until `num_gradients` are used, with a step size that follows the acceptance."""
    white, pulled = tuned.coordinates.pull_state(state), tuned.coordinates.pull(target)
    size, states, used = StepSize(tuned.step_size, TARGET_ACCEPTANCE), [], 0
    moved, jumped = [], []
    while used < num_gradients:
        k = len(states)
        step = stream, phase, k, white, pulled, size.step_size, tuned.length, tuned.jumps
        white, info, steps = transition(*step)
        accepted = acceptance_probability(info)
        (jumped if is_jump(stream, phase, k, tuned.jumps) else moved).append(accepted)
        if moved and accepted is moved[-1]:
            size.update(float(accepted.mean()))
            size.step_size = max(size.step_size, SMALLEST_STEP)
        states.append(tuned.coordinates.push_state(white))
        used += steps
    later = states[len(states) // 4 :]
    x, score = torch.stack([s.x for s in later]), torch.stack([s.score for s in later])
    jump_acceptance = float(torch.stack(jumped).mean()) if jumped else 0.0
    acceptance = torch.stack(moved).mean(0) if moved else torch.ones_like(state.value)
    return Window(states[-1], x, score, acceptance, jump_acceptance, size.step_size, used)


def widest(w: Float[Tensor, "draw chain dim"]) -> float:
    """The largest standard deviation of draws in white units: 1 on a Gaussian, more where scores made the metric narrower
    than the draws. The direction comes of half of the chains and the deviation of the others, for the widest of many
    equal directions is wide by chance.
    """
    first, second = (metric.shrunk_covariance(half.flatten(0, 1)) for half in (w[:, ::2], w[:, 1::2]))
    variance = 0.0
    for one, other in ((first, second), (second, first)):
        axis = torch.linalg.eigh(one).eigenvectors[:, -1]
        variance += 0.5 * float(axis @ other @ axis)
    return max(1.0, variance**0.5)


def learn(stream: Stream, index: int, tuned: Tuned, window: Window, is_bent: bool) -> Tuned:
    """New coordinates, length and, after the first windows, jumps."""
    bent, whitening = None, tuned.coordinates.whitening
    x, score = window.x.flatten(0, 1), window.score.flatten(0, 1)
    if is_bent and x.shape[1] <= MOST_BENT:
        bent = bend.fit(window.x)
    if bent:
        straight = bent.pull_state(State(x, torch.zeros_like(x[:, 0]), score))
        x, score, whitening = straight.x, straight.score, identity(x.shape[1], x.dtype)
    elif tuned.coordinates.bend:
        whitening = identity(x.shape[1], x.dtype)
    whitening = metric.learn(whitening, x, score)
    w = whitening.to_white(x).view(window.x.shape)
    length, jumps = LENGTH * widest(w), None
    if is_bent and not (index > 2 and not tuned.jumps or tuned.jumps and window.jump_acceptance < FEWEST_JUMPS):
        jumps = Jumps(mixture.with_tails(mixture.fit(stream.at(FITS, index), w), 0.1, 1.5), 0.0)
        jumps = jumps._replace(share=share(window.jump_acceptance or 0.5, length / window.step_size))
    return Tuned(Coordinates(whitening, bent), window.step_size, length, jumps)


def share(acceptance: float, cost: float) -> float:
    """The share of transitions that are jumps"""
    if acceptance < FEWEST_JUMPS:
        return 0.0
    of_gradients = max(acceptance, 0.5)
    return of_gradients * cost / (of_gradients * cost + 1 - of_gradients)


def warm_up(stream: Stream, target: Target, x: Float[Tensor, "chain dim"]) -> Warm:
    """Chains that start cold at `x` (see `cold_start`), warmed up together: a pure function of (stream, x)."""
    start = metropolis.init(x, target)
    dim = x.shape[1]
    best, used = descent.descend(stream, CLIMB, start, target, MAX_CLIMB)
    state = rescue.restart(stream.at(RESCUE, 0), best.state, rescue.is_far(best.elbo, dim))
    whitening = metric.learn(identity(dim, x.dtype), state.x, state.score)
    tuned, used = Tuned(Coordinates(whitening), dim**-0.25, LENGTH, None), used + 1
    for i, size in enumerate((*AFFINE_WINDOWS, *WINDOWS)):
        window = run_window(stream, FIRST_WINDOW + i, state, target, tuned, size)
        used += window.num_gradients
        state = rescue.restart(stream.at(RESCUE, 2 * i + 1), window.state, rescue.is_stuck(window.acceptance))
        if i == len(AFFINE_WINDOWS) + len(WINDOWS) - 1:
            jumps = tuned.jumps and tuned.jumps._replace(
                share=share(window.jump_acceptance, tuned.length / window.step_size)
            )
            return Warm(state, tuned._replace(step_size=window.step_size, jumps=jumps), used)
        tuned = learn(stream, i, tuned, window, i >= len(AFFINE_WINDOWS) - 1)
        if i == 0:
            white, pulled = tuned.coordinates.pull_state(state), tuned.coordinates.pull(target)
            found, cost = disperse(stream, DISPERSE, white, pulled)
            found_state = rescue.restart(stream.at(RESCUE, 2), found.state, rescue.is_far(found.elbo, dim))
            state, used = tuned.coordinates.push_state(found_state), used + cost
