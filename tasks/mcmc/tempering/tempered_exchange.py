"""Replica exchange between a wide Gaussian and a density, in which no swap costs an evaluation.

On the geometric path `f_b = b f + (1-b) r`, r the log density of the reference `N(0, s^2 I)` (see `tempering`), a
replica keeps f and grad f of its point, which belong to no level; two that change places take them along. With
`V = f - r` the log ratio of a swap of the levels `b_i` and `b_j` is `(b_i - b_j) (V(x_j) - V(x_i))` (Syed et al., JRSSB
84, 2022, arXiv 1905.02939). At `b = 0` every round draws afresh and independently, with one evaluation of f.

A stream given to this module belongs to it alone: phase `r` is round `r`.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from scorefleet.tasks.mcmc.kernels import jump, metropolis
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.kernels.kernels import Kernel
from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target, acceptance_probability, choose
from scorefleet.tasks.mcmc.noise_ladder import exchange
from scorefleet.tasks.mcmc.noise_ladder.exchange import Replicas
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.tempering.tempering import gaussian, tempered
from scorefleet.tasks.mcmc.warmup import overflow


@dataclass(frozen=True)
class Ladder:
    """Inverse temperatures from 0 to 1, and what was tuned for each and is now frozen; `scale` is that of the
    reference. Nothing moves by steps at 0, so its step size and length are not used.
    """

    levels: tuple[float, ...]
    step_sizes: tuple[float, ...]
    lengths: tuple[float, ...]
    scale: float


class Round(NamedTuple):
    """What one round did: the chains that accepted at each level (none at the first), and those whose jump at the last
    was accepted; mean acceptance probabilities, `1 - E min(1, r)` of each pair and the swaps made (NaN and 0 where it
    was not this round's turn), proposals at each level whose density was undefined, those at the last level that
    overflowed, and evaluations of f a chain.
    """

    is_accepted: Int[Tensor, "level chain"]
    has_jumped: Int[Tensor, " chain"]
    acceptance: Float[np.ndarray, " level"]
    rejection: Float[np.ndarray, " pair"]
    num_swapped: Int[np.ndarray, " pair"]
    num_nonfinite: Int[np.ndarray, " level"]
    num_overflowed: int
    num_evaluations: int


def heated(state: State, b: float, reference: Target) -> State:
    """The same points with `f_b` and its gradient, given f and its own."""
    if b == 1:
        return state
    value, score = reference(state.x)
    return State(state.x, b * state.value + (1 - b) * value, torch.lerp(score, state.score, b))


def cooled(state: State, b: float, reference: Target, before: State) -> State:
    """`f = (f_b - (1-b) r)/b` and its gradient at the points of `state`; a chain that has not moved since `before`
    keeps its numbers to the bit, so that rounding does not add up.
    """
    if b == 1:
        return state
    value, score = reference(state.x)
    cold = State(state.x, (state.value - (1 - b) * value) / b, (state.score - (1 - b) * score) / b)
    return choose((state.x != before.x).any(1), cold, before)


def swap_log_ratio(
    upper: State, lower: State, upper_b: float, lower_b: float, reference: Target
) -> Float[Tensor, " chain"]:
    """`(b_i - b_j) (V(x_j) - V(x_i))` of the levels i (upper) and j (lower), in nats."""
    upper_v, lower_v = (state.value - reference(state.x)[0] for state in (upper, lower))
    return (upper_b - lower_b) * (lower_v - upper_v)


def exchange_round(
    stream: Stream,
    phase: int,
    replicas: Replicas,
    target: Target,
    ladder: Ladder,
    kernel: Kernel,
    jumps: Jumps | None = None,
) -> tuple[Replicas, Round]:
    """A fresh draw at the first level, one transition at every other and a jump at the last, then swaps of the pairs
    whose first level is even in even rounds and odd in odd ones. The states of `replicas` hold f and its gradient.
    """
    reference, swaps = gaussian(ladder.scale), dataclasses.replace(stream, purpose=f"{stream.purpose}/swaps")
    target_at = tempered(target, reference)
    noise = swaps.at(phase, 0).normal(*replicas.states[0].x.shape).to(replicas.states[0].x)
    states = [metropolis.init(ladder.scale * noise, target)]
    accepted, acceptance = [torch.zeros(len(noise), dtype=torch.int32)], [float("nan")]
    num_overflowed, num_evaluations = 0, 1
    num_nonfinite = [int((states[0].value.isnan() | states[0].value.isposinf()).sum())]
    for level, b in enumerate(ladder.levels[1:], start=1):
        cold = replicas.states[level]
        hot = heated(cold, b, reference)
        step = partial(_step, kernel, ladder, stream, phase, level, hot)
        warm, info, used = step(target_at(b))
        lost = overflow.sort_out(info, hot, target_at(b), step)
        states.append(cooled(warm, b, reference, cold))
        accepted.append(info.is_accepted.int().cpu())
        acceptance.append(float(acceptance_probability(info).mean()))
        num_nonfinite.append(lost.num_nonfinite)
        num_overflowed = lost.num_overflowed
        num_evaluations += used
    has_jumped = torch.zeros_like(accepted[-1])
    if jumps is not None:
        again = partial(_jump, swaps, phase, states[-1], jumps)
        before, (states[-1], info) = states[-1], again(target)
        lost = overflow.sort_out(info, before, target, again)
        has_jumped = info.is_accepted.int().cpu()
        num_nonfinite[-1] += lost.num_nonfinite
        num_overflowed += lost.num_overflowed
        num_evaluations += 1
    uniform = swaps.at(phase, 1).uniform(len(noise), len(states))
    swapped, rejection, num_swapped = exchange_pairs(uniform, phase, replicas._replace(states=tuple(states)), ladder)
    moved = torch.stack(accepted), has_jumped, np.array(acceptance)
    counts = np.array(num_nonfinite), num_overflowed, num_evaluations
    return swapped, Round(*moved, rejection, num_swapped, *counts)


def _step(
    kernel: Kernel, ladder: Ladder, stream: Stream, phase: int, level: int, state: State, target: Target
) -> tuple[State, Info, int]:
    step_size, length = ladder.step_sizes[level], ladder.lengths[level]
    return kernel.transition(stream, phase, level, state, target, step_size, length)


def _jump(swaps: Stream, phase: int, state: State, jumps: Jumps, target: Target) -> tuple[State, Info]:
    return jump.step(swaps.at(phase, 2), state, target, jumps.mixture)


def exchange_pairs(
    uniform: Float[Tensor, "chain level"], phase: int, replicas: Replicas, ladder: Ladder
) -> tuple[Replicas, Float[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """The swaps of one round, the rejection rate of each pair that was tried, and how many chains swapped."""
    states, occupant, leg = list(replicas.states), replicas.occupant.clone(), replicas.leg.clone()
    rejection, num_swapped = np.full(len(states) - 1, np.nan), np.zeros(len(states) - 1, dtype=np.int64)
    for i in range(phase % 2, len(states) - 1, 2):
        upper, lower = states[i], states[i + 1]
        log_ratio = swap_log_ratio(upper, lower, ladder.levels[i], ladder.levels[i + 1], gaussian(ladder.scale))
        is_finite = log_ratio.isfinite() & upper.score.isfinite().all(1) & lower.score.isfinite().all(1)
        is_swapped, probability = exchange.decide(uniform[:, i].to(log_ratio.device), log_ratio, is_finite)
        states[i], states[i + 1] = choose(is_swapped, lower, upper), choose(is_swapped, upper, lower)
        exchange.cross(is_swapped, i, occupant, leg)
        rejection[i], num_swapped[i] = 1 - float(probability.mean()), int(is_swapped.sum())
    home = replicas.round_trips + exchange.turn(leg)
    return Replicas(tuple(states), occupant, leg, home), rejection, num_swapped
