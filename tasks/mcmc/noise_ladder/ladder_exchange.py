"""Replica exchange on the noise ladder: once a chain has come down, replicas of it swap places between a few levels.

On its way down a chain takes to a mode where the modes part, and keeps to it. If the density gives that mode another
share at the lowest level than there, as a learned energy may, exchange repairs it. A replica starts from where its
chain was at the end of a level, so the levels are some of the ladder's, with the step sizes tuned for the way down.
"""

import dataclasses
import math

import numpy as np
import torch

from scorefleet.tasks.mcmc.noise_ladder import exchange
from scorefleet.tasks.mcmc.noise_ladder.annealing import Annealed, Ladder, TargetAt, anneal
from scorefleet.tasks.mcmc.noise_ladder.exchange import Replicas, Round
from scorefleet.tasks.mcmc.streams import Stream

NUM_STEPS, NUM_ROUNDS = 3, 8
"""Steps a level on the way down, and rounds, from which rejections are measured."""


def begin(ladder: Ladder, walk: Annealed) -> Replicas:
    """One replica at each exchanged level, where the chain left it."""
    return exchange.start([walk.path[level] for level in ladder.exchanged])


def travel(
    stream: Stream, first: int, num_rounds: int, replicas: Replicas, target_at: TargetAt, ladder: Ladder
) -> tuple[Replicas, list[Round]]:
    """Rounds `first`, `first + 1`, ... of one step a level and swaps, with everything frozen."""
    levels = [ladder.levels[level] for level in ladder.exchanged]
    moves = [ladder.move(level) for level in ladder.exchanged]
    rounds: list[Round] = []
    for turn in range(first, first + num_rounds):
        replicas, info = exchange.exchange_round(stream, turn, replicas, target_at, levels, moves, 1)
        rounds.append(info)
    return replicas, rounds


def choose_levels(
    stream: Stream,
    target_at: TargetAt,
    ladder: Ladder,
    num_chains: int,
    dim: int,
    device: torch.device | str = "cpu",
) -> Ladder:
    """The ladder with its exchanged levels: those nearest to the `2 Lambda + 2` that would reject swaps equally often,
    with Lambda the sum of the rejection rates (Syed et al. 2022), measured on chains that are thrown away.
    """
    walk = anneal(stream, target_at, ladder, NUM_STEPS, num_chains, dim, device)
    every = dataclasses.replace(ladder, exchanged=tuple(range(len(ladder.levels))))
    swaps = dataclasses.replace(stream, purpose=f"{stream.purpose}/swaps")
    _, rounds = travel(swaps, 0, NUM_ROUNDS, begin(every, walk), target_at, every)
    rejections = exchange.rejection_rates(rounds)
    wanted = exchange.respace(ladder.levels, rejections, 2 + math.ceil(2 * rejections.sum()))
    nearest = {int(np.abs(np.array(ladder.levels) - level).argmin()) for level in wanted}
    return dataclasses.replace(ladder, exchanged=tuple(sorted(nearest)))
