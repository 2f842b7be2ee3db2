"""Replica exchange: each chain has one replica at every level of a ladder, and neighbours swap places.

Swaps are deterministic even-odd (Okabe et al. 2001), which makes the way of a replica along the ladder ballistic
instead of diffusive; the sum `Lambda` of the rejection rates of neighbouring levels is then what a ladder costs, and
rejections that are all equal are best (Syed et al., JRSSB 84, 2022, arXiv 1905.02939). In a swap a constant of a level
cancels, so levels need not be normalised; states swap as they are.

Levels go from the easiest (much noise; inverse temperature 0) to the one that is wanted. A stream given to this module
belongs to it alone: phase `r` is round `r`, step 0 its swaps and the others its steps of a kernel.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.kernels import Move
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target, choose
from scorefleet.tasks.mcmc.noise_ladder.annealing import LevelStats, TargetAt, adjust
from scorefleet.tasks.mcmc.streams import Stream

NOT_YET, ON_THE_WAY_DOWN, ON_THE_WAY_UP = 0, 1, 2


class Replicas(NamedTuple):
    """Where the replicas of each chain are, by level: `occupant` says which replica stands at a level, `leg` on which
    part of a round trip (first level, last level, first level) it is.
    """

    states: tuple[State, ...]
    occupant: Int[Tensor, "chain level"]
    leg: Int[Tensor, "chain level"]
    round_trips: Int[Tensor, " chain"]


class Round(NamedTuple):
    """What one round did: its steps at each level, `1 - E min(1, r)` of the swap of levels `i` and `i+1` (NaN where it
    was not this round's turn), and the evaluations of energy and gradient it took a chain.
    """

    stats: tuple[LevelStats, ...]
    rejection: Float[np.ndarray, " pair"]
    num_gradients: int


def start(states: Sequence[State]) -> Replicas:
    """Replicas that have not travelled yet, given the state of each level (with the values of its own level)."""
    num_chains, num_levels = len(states[0].x), len(states)
    occupant = torch.arange(num_levels).repeat(num_chains, 1)
    leg = torch.full((num_chains, num_levels), NOT_YET)
    leg[:, 0] = ON_THE_WAY_DOWN
    return Replicas(tuple(states), occupant, leg, torch.zeros(num_chains, dtype=torch.int64))


def swap_log_ratio(upper: State, lower: State, new_upper: State, new_lower: State) -> Float[Tensor, " chain"]:
    """`f_i(x_j) + f_j(x_i) - f_i(x_i) - f_j(x_j)` of the levels `i` (upper) and `j` (lower), in nats."""
    return (new_upper.value - upper.value) + (new_lower.value - lower.value)


def swap(
    uniform: Float[Tensor, " chain"], upper: State, lower: State, upper_target: Target, lower_target: Target
) -> tuple[State, State, Bool[Tensor, " chain"], Float[Tensor, " chain"]]:
    """Exchange the points of two levels with probability `min(1, r)`; also whether each chain did, and that
    probability. Value and score of a point that moved are those of its new level: two evaluations.
    """
    new_upper, new_lower = metropolis.init(lower.x, upper_target), metropolis.init(upper.x, lower_target)
    log_ratio = swap_log_ratio(upper, lower, new_upper, new_lower)
    is_finite = log_ratio.isfinite() & new_upper.score.isfinite().all(1) & new_lower.score.isfinite().all(1)
    is_swapped, probability = decide(uniform, log_ratio, is_finite)
    return choose(is_swapped, new_upper, upper), choose(is_swapped, new_lower, lower), is_swapped, probability


def decide(
    uniform: Float[Tensor, " chain"], log_ratio: Float[Tensor, " chain"], is_finite: Bool[Tensor, " chain"]
) -> tuple[Bool[Tensor, " chain"], Float[Tensor, " chain"]]:
    """Whether each chain swaps, and the probability `min(1, r)` of it, which is 0 where anything was not a number."""
    probability = torch.where(is_finite, log_ratio.clamp(max=0).exp(), 0.0)
    return is_finite & (uniform.log() < log_ratio), probability


def exchange_round(
    stream: Stream,
    phase: int,
    replicas: Replicas,
    target_at: TargetAt,
    levels: Sequence[float],
    moves: Sequence[Move],
    num_steps: int,
) -> tuple[Replicas, Round]:
    """`num_steps` steps of a kernel at every level, then swaps of the pairs whose first level is even in even rounds
    and odd in odd ones. Evaluations a chain: those of the steps, and two a pair.
    """
    targets = [target_at(level) for level in levels]
    states, stats = list(replicas.states), []
    for level, (target, move) in enumerate(zip(targets, moves, strict=True)):
        first = 1 + level * num_steps
        states[level], level_stats = adjust(stream, phase, states[level], target, move, num_steps, first)
        stats.append(level_stats)
    moved = replicas._replace(states=tuple(states))
    swapped, rejection = exchange(stream.at(phase, 0).uniform(len(states[0].x), len(levels)), phase, moved, targets)
    num_gradients = sum(level_stats.num_gradients for level_stats in stats) + 2 * int(np.isfinite(rejection).sum())
    return swapped, Round(tuple(stats), rejection, num_gradients)


def exchange(
    uniform: Float[Tensor, "chain level"], phase: int, replicas: Replicas, targets: Sequence[Target]
) -> tuple[Replicas, Float[np.ndarray, " pair"]]:
    """The swaps of one round, and the rejection rate of each pair that was tried."""
    states, occupant, leg = list(replicas.states), replicas.occupant.clone(), replicas.leg.clone()
    rejection = np.full(len(states) - 1, np.nan)
    for i in range(phase % 2, len(states) - 1, 2):
        j, u = i + 1, uniform[:, i].to(states[i].x.device)
        states[i], states[j], is_swapped, probability = swap(u, states[i], states[j], targets[i], targets[j])
        cross(is_swapped, i, occupant, leg)
        rejection[i] = 1 - float(probability.mean())
    return Replicas(tuple(states), occupant, leg, replicas.round_trips + turn(leg)), rejection


def cross(is_swapped: Bool[Tensor, " chain"], i: int, *labels: Int[Tensor, "chain level"]) -> None:
    """Exchange the labels of levels `i` and `i+1`, in place, for the chains that swapped."""
    for label in labels:
        label[:, [i, i + 1]] = torch.where(is_swapped.cpu()[:, None], label[:, [i + 1, i]], label[:, [i, i + 1]])


def turn(leg: Int[Tensor, "chain level"]) -> Bool[Tensor, " chain"]:
    """Turn the replicas that have come to an end of the ladder, in place; whether a round trip of a chain ended."""
    is_home = leg[:, 0] == ON_THE_WAY_UP
    leg[:, 0] = ON_THE_WAY_DOWN
    leg[:, -1] = torch.where(leg[:, -1] == ON_THE_WAY_DOWN, ON_THE_WAY_UP, leg[:, -1])
    return is_home


def rejection_rates(rounds: Sequence[Round]) -> Float[np.ndarray, " pair"]:
    """Mean rejection rate of each pair of neighbours over rounds of both parities."""
    if len(rounds) < 2:
        raise UsageError(f"{len(rounds)} rounds of exchange try not all pairs of levels; run at least 2")
    return np.nanmean([info.rejection for info in rounds], axis=0)


def respace(levels: Sequence[float], rejections: Float[np.ndarray, " pair"], num_levels: int) -> tuple[float, ...]:
    """Levels between which swaps are rejected equally often, with the same ends.

    `Lambda(level)`, the rejections summed up to a level, is interpolated monotonically and cut into equal parts
    (Syed et al., algorithm 3). About `2 Lambda` levels are best.
    """
    from scipy.interpolate import PchipInterpolator  # which the workers that draw need not wait for

    if num_levels < 2:
        raise UsageError(f"a ladder of {num_levels} levels has no two ends; give at least 2")
    # Pairs that never reject get a little of the ladder too: a barrier that does not rise has no inverse.
    barrier = np.concatenate([[0.0], np.cumsum(np.maximum(rejections, 1e-4))])
    inner = PchipInterpolator(barrier, levels)(np.linspace(0, barrier[-1], num_levels)[1:-1])
    return (levels[0], *map(float, inner), levels[-1])
