"""What one block of chains does: walk down the ladder, exchange replicas where that is wanted, then keep draws at the
lowest level, a segment at a time.

A pure function of (program, block, draws, state): whoever runs it, wherever, it returns the same draws.
"""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import State
from scorefleet.tasks.mcmc.noise_ladder import ladder_exchange
from scorefleet.tasks.mcmc.noise_ladder.annealing import Annealed, Ladder, LevelStats, TargetAt, anneal
from scorefleet.tasks.mcmc.noise_ladder.exchange import Replicas, Round
from scorefleet.tasks.mcmc.streams import Stream


@dataclass(frozen=True)
class Program:
    """The settings that all blocks of a run share; `block_size` chains advance together. Whoever runs it gives it
    densities to the power `1/ladder.temperature`.
    """

    seed: int
    purpose: str
    ladder: Ladder
    steps_per_level: int
    block_size: int
    dim: int
    num_draws: int
    thinning: int
    draws_per_segment: int
    exchange_rounds: int = 0
    """Rounds of replica exchange before the first draw; without any, chains stay at the lowest level."""

    @property
    def replicated(self) -> Ladder:
        """The ladder, with the levels at which a chain has replicas: the lowest alone where nothing is exchanged."""
        if self.exchange_rounds:
            return self.ladder
        return dataclasses.replace(self.ladder, exchanged=(len(self.ladder.levels) - 1,))


class Draws(NamedTuple):
    """Kept draws, in the order they were drawn; `accepted` counts steps since the chain's previous draw."""

    position: Float[Tensor, "draw chain dim"]
    log_density: Float[Tensor, "draw chain"]
    score: Float[Tensor, "draw chain dim"]
    accepted: Int[Tensor, "draw chain"]
    num_nonfinite: int


class Chains(NamedTuple):
    """All that a block goes on from: the replicas of its chains, and the log weights of their way down."""

    replicas: Replicas
    log_weight: Float[Tensor, " chain"]

    def to_tensors(self) -> dict[str, Tensor]:
        """By name, for a file; what every replica has, with the level first."""
        x, value, score = (torch.stack(parts) for parts in zip(*self.replicas.states, strict=True))
        labels = {name: getattr(self.replicas, name) for name in ("occupant", "leg", "round_trips")}
        return {"x": x, "value": value, "score": score, "log_weight": self.log_weight} | labels

    @classmethod
    def of_tensors(cls, tensors: dict[str, Tensor]) -> "Chains":
        """What `to_tensors` made them of."""
        parts = (tensors[name].unbind() for name in ("x", "value", "score"))
        states = tuple(State(*level) for level in zip(*parts, strict=True))
        labels = (tensors[name].cpu() for name in ("occupant", "leg", "round_trips"))
        return cls(Replicas(states, *labels), tensors["log_weight"])


class Segment(NamedTuple):
    """What a segment leaves: its draws, the chains to go on from, statistics of the levels of the way down and of the
    rounds after it, and the evaluations of energy and gradient that it took a chain.
    """

    first_draw: int
    draws: Draws
    chains: Chains
    stats: list[LevelStats]
    rounds: list[Round]
    num_gradients: int


def first_segment(
    program: Program, block: int, draws: range, target_at: TargetAt, device: torch.device | str
) -> Segment:
    """From N(0, I) down the ladder and through the rounds of exchange, after which a chain has its first draw."""
    walk = descend_ladder(program, block, target_at, device)
    chains, rounds = _travel(program, block, 0, program.exchange_rounds, arrived(program, walk), target_at)
    foot = walk.stats[-1]
    first = chains.replicas.states[-1], _accepted(rounds) if rounds else foot.accepted
    made = _keep(program, block, draws, [first], chains, target_at)
    num_gradients = walk.num_gradients + sum(info.num_gradients for info in rounds) + made.num_gradients
    kept = made.draws._replace(num_nonfinite=made.draws.num_nonfinite + foot.num_nonfinite + _count_nonfinite(rounds))
    return made._replace(draws=kept, stats=walk.stats, rounds=rounds + made.rounds, num_gradients=num_gradients)


def next_segment(program: Program, block: int, draws: range, chains: Chains, target_at: TargetAt) -> Segment:
    """Go on from the chains that the segment before it left."""
    return _keep(program, block, draws, [], chains, target_at)


def descend_ladder(program: Program, block: int, target_at: TargetAt, device: torch.device | str) -> Annealed:
    """A block's way down, before anything is kept."""
    stream = Stream(program.seed, block, program.purpose)
    steps, size = program.steps_per_level, program.block_size
    return anneal(stream, target_at, program.ladder, steps, size, program.dim, device)


def arrived(program: Program, walk: Annealed) -> Chains:
    """The chains at the foot of the ladder, with their replicas."""
    return Chains(ladder_exchange.begin(program.replicated, walk), walk.log_weight)


def _accepted(rounds: list[Round]) -> Int[Tensor, " chain"]:
    """Steps that each chain took at the lowest level."""
    return torch.stack([info.stats[-1].accepted for info in rounds]).sum(0, dtype=torch.int32)


def _count_nonfinite(rounds: list[Round]) -> int:
    """Proposals that were no numbers."""
    return sum(level.num_nonfinite for info in rounds for level in info.stats)


def _travel(
    program: Program, block: int, first: int, num_rounds: int, chains: Chains, target_at: TargetAt
) -> tuple[Chains, list[Round]]:
    """Rounds of one step at every level that has replicas, and swaps between them."""
    stream = Stream(program.seed, block, f"{program.purpose}/foot")
    ladder = program.replicated
    replicas, rounds = ladder_exchange.travel(stream, first, num_rounds, chains.replicas, target_at, ladder)
    return chains._replace(replicas=replicas), rounds


def _keep(
    program: Program,
    block: int,
    draws: range,
    kept: list[tuple[State, Tensor]],
    chains: Chains,
    target_at: TargetAt,
) -> Segment:
    """`thinning` rounds before each draw but the chain's first, which is in `kept`."""
    rounds: list[Round] = []
    for draw in draws[len(kept) :]:
        start = program.exchange_rounds + (draw - 1) * program.thinning
        chains, since = _travel(program, block, start, program.thinning, chains, target_at)
        kept.append((chains.replicas.states[-1], _accepted(since)))
        rounds += since
    made = Draws(
        torch.stack([state.x for state, _ in kept]),
        torch.stack([state.value for state, _ in kept]),
        torch.stack([state.score for state, _ in kept]),
        torch.stack([accepted for _, accepted in kept]),
        _count_nonfinite(rounds),
    )
    num_gradients = sum(info.num_gradients for info in rounds)
    return Segment(draws.start, made, chains, [], rounds, num_gradients)
