"""The tempering ladder of chains that are warm: where its levels stand, and how chains move at each; then frozen.

Rounds of replica exchange from the warm chains, in three passes of growing length. In each the step size of every level
follows its acceptance; after each the levels are set anew so that all pairs reject equally often, by the rejections of
the second half (Syed et al., JRSSB 84, 2022, algorithm 4). The last pass tunes the steps of the levels that stay.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from scorefleet.tasks.mcmc.kernels.adaptation import StepSize
from scorefleet.tasks.mcmc.kernels.kernels import Kernel
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target
from scorefleet.tasks.mcmc.noise_ladder import exchange
from scorefleet.tasks.mcmc.noise_ladder.exchange import Replicas
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.tempering.tempered_exchange import Ladder, exchange_round
from scorefleet.tasks.mcmc.tempering.tempering import tempering_ladder
from scorefleet.tasks.mcmc.warmup.warmup import LENGTH

PASSES = (32, 64, 128)
SCALE = 5.0
"""Standard deviation of the reference in white units: modes within some 3 of it are found, 15 widths of the mode that
the warm-up knows. A ladder from it to a Gaussian costs `Lambda = sqrt(2 d/pi) ln SCALE`."""


class Tuned(NamedTuple):
    """The frozen ladder, replicas that are warm at its levels, and the rejection rate of each pair in the last pass."""

    ladder: Ladder
    replicas: Replicas
    rejections: Float[np.ndarray, " pair"]


def lengths_of(levels: tuple[float, ...], length: float) -> tuple[float, ...]:
    """Length of trajectories at each level: 1.5 standard deviations of the product of powers of two Gaussians, the
    reference and one for which `length` is right.
    """
    return tuple(LENGTH / math.sqrt(b * (LENGTH / length) ** 2 + (1 - b) / SCALE**2) for b in levels)


def tune(
    stream: Stream, state: State, target: Target, num_levels: int, kernel: Kernel, step_size: float, length: float
) -> Tuned:
    """A ladder for a target in white coordinates, from warm chains at `state`, whose step size and length there are
    given: a pure function of (stream, state).
    """
    levels = tempering_ladder(num_levels)
    lengths = lengths_of(levels, length)
    ladder = Ladder(levels, tuple(step_size * reach / length for reach in lengths), lengths, SCALE)
    replicas, first = exchange.start([state] * num_levels), 0
    for num_rounds in PASSES[:-1]:
        tuned = _pass(stream, first, num_rounds, replicas, target, ladder, kernel)
        first += num_rounds
        ladder, replicas = _respaced(tuned, length)
    return _pass(stream, first, PASSES[-1], replicas, target, ladder, kernel)


def _pass(
    stream: Stream, first: int, num_rounds: int, replicas: Replicas, target: Target, ladder: Ladder, kernel: Kernel
) -> Tuned:
    """Rounds in which step sizes follow the acceptance; rejections are those of the second half."""
    adaptive = [StepSize(step_size, kernel.target_acceptance) for step_size in ladder.step_sizes]
    rejections = []
    for r in range(first, first + num_rounds):
        ladder = Ladder(ladder.levels, tuple(size.step_size for size in adaptive), ladder.lengths, ladder.scale)
        replicas, done = exchange_round(stream, r, replicas, target, ladder, kernel)
        for size, acceptance in zip(adaptive[1:], done.acceptance[1:], strict=True):
            size.update(float(acceptance))
        rejections.append(done.rejection)
    frozen = Ladder(ladder.levels, tuple(size.step_size for size in adaptive), ladder.lengths, ladder.scale)
    return Tuned(frozen, replicas, np.nanmean(rejections[num_rounds // 2 :], axis=0))


def _respaced(tuned: Tuned, length: float) -> tuple[Ladder, Replicas]:
    """Levels of equal rejection, with step sizes and replicas of the levels that were there."""
    old, num_levels = tuned.ladder, len(tuned.ladder.levels)
    levels = exchange.respace(old.levels, tuned.rejections, num_levels)
    step_sizes = np.exp(np.interp(levels, old.levels, np.log(old.step_sizes)))
    nearest = [int(np.abs(np.array(old.levels) - level).argmin()) for level in levels]
    ladder = Ladder(levels, tuple(step_sizes.tolist()), lengths_of(levels, length), SCALE)
    return ladder, exchange.start([tuned.replicas.states[k] for k in nearest])
