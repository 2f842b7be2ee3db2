"""What one block of chains with a tempering ladder does: `target_program` with a replica of each chain at each level.

Draws are the points at inverse temperature 1, once `thinning` rounds. Round numbers go on from segment to segment, so
that even and odd swaps alternate whatever was interrupted. A pure function of (program, block, draws, state); the
state holds every replica, and where on its round trip it is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from scorefleet.tasks.mcmc import target_program
from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target
from scorefleet.tasks.mcmc.noise_ladder import exchange
from scorefleet.tasks.mcmc.noise_ladder.exchange import Replicas
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.target_program import Leg
from scorefleet.tasks.mcmc.tempering.tempered_exchange import Ladder, Round, exchange_round


@dataclass(frozen=True)
class Program(target_program.Program):
    """The settings of such chains, with a ladder whose last level has the step size and length of its own."""

    ladder: Ladder


def first_leg(
    program: Program,
    block: int,
    draws: range,
    start: Float[Tensor, "level chain free"],
    target: Target,
    jumps: Jumps | None = None,
) -> Leg:
    """From `start`, `burn_in` rounds that are not kept, then draws."""
    replicas = exchange.start([metropolis.init(x, target) for x in start])
    replicas, rounds = _advance(program, block, 0, replicas, target, jumps, program.burn_in)
    return _keep(program, block, draws, replicas, target, jumps, rounds, len(start))


def next_leg(
    program: Program, block: int, draws: range, state: dict[str, Tensor], target: Target, jumps: Jumps | None = None
) -> Leg:
    """Continue from the state that the segment before it left."""
    return _keep(program, block, draws, unpack(state), target, jumps, [], 0)


def pack(replicas: Replicas) -> dict[str, Tensor]:
    """All replicas as tensors, level by level."""
    stacked = State(*(torch.stack(parts) for parts in zip(*replicas.states, strict=True)))
    labels = {key: value for key, value in replicas._asdict().items() if key != "states"}
    return stacked._asdict() | labels


def unpack(state: dict[str, Tensor]) -> Replicas:
    """The replicas of `pack`."""
    parts = dict(state)
    x, value, score = (parts.pop(key) for key in State._fields)
    return Replicas(tuple(State(*level) for level in zip(x, value, score, strict=True)), **parts)


def _keep(
    program: Program,
    block: int,
    draws: range,
    replicas: Replicas,
    target: Target,
    jumps: Jumps | None,
    burnt: list[Round],
    num_evaluations: int,
) -> Leg:
    before, kept, rounds = replicas.round_trips, [], []
    for draw in draws:
        number = program.burn_in + draw * program.thinning
        replicas, done = _advance(program, block, number, replicas, target, jumps, program.thinning)
        cold = replicas.states[-1]
        kept.append((cold.x, cold.value, _moved(done)))
        rounds += done
    position, value, accepted = (torch.stack(parts) for parts in zip(*kept, strict=True))
    nonfinite = np.sum([done.num_nonfinite for done in burnt + rounds], axis=0)
    counts = _counts(rounds) | {
        "round_trips": (replicas.round_trips - before).tolist(),
        "num_nonfinite": int(nonfinite[-1]),
        "num_nonfinite_hot": int(nonfinite[:-1].sum()),
        "num_overflowed": sum(done.num_overflowed for done in burnt + rounds),
        "num_evaluations": num_evaluations + sum(done.num_evaluations for done in burnt + rounds),
    }
    return Leg(draws.start, position, value, accepted, pack(replicas), counts)


def _counts(rounds: list[Round]) -> dict[str, Any]:
    """Of all chains: acceptances at each level, and swaps of each pair, made and tried."""
    accepted = _accepted(rounds)
    num_chains = accepted.shape[1]
    return {
        "level_accepted": accepted.sum(1).tolist(),
        "level_proposed": num_chains * len(rounds),
        "swapped": np.sum([done.num_swapped for done in rounds], axis=0).tolist(),
        "swaps_tried": (num_chains * np.sum([~np.isnan(done.rejection) for done in rounds], axis=0)).tolist(),
    }


def _accepted(rounds: list[Round]) -> Int[Tensor, "level chain"]:
    return torch.stack([done.is_accepted for done in rounds]).sum(0, dtype=torch.int32)


def _moved(rounds: list[Round]) -> Int[Tensor, " chain"]:
    """Rounds in which each chain accepted a step or a jump at the last level."""
    return torch.stack([done.is_accepted[-1] | done.has_jumped for done in rounds]).sum(0, dtype=torch.int32)


def _advance(
    program: Program,
    block: int,
    first: int,
    replicas: Replicas,
    target: Target,
    jumps: Jumps | None,
    num_rounds: int,
) -> tuple[Replicas, list[Round]]:
    stream, kernel, rounds = Stream(program.seed, block, "ladder"), KERNELS[program.kernel], []
    for r in range(first, first + num_rounds):
        replicas, done = exchange_round(stream, r, replicas, target, program.ladder, kernel, jumps)
        rounds.append(done)
    return replicas, rounds
