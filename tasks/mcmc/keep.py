"""Kept draws: Hamiltonian trajectories with a frozen metric and step size, both jittered independently of the state.

The length of a trajectory is multiplied by `U(.5, 1.5)`, so that no period of the target is ever matched. The step
of each chain is multiplied by c, which is 1 with probability .8 and else log-uniform on (.05, 1): a chain in a narrow
place, a funnel's neck, still gets steps that it accepts. Some transitions are jumps from a frozen mixture (`jump`)
instead. All of this is drawn without a look at the state, so every transition, and their mixture, keeps the target.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.kernels import hmc, jump
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target
from scorefleet.tasks.mcmc.streams import Random, Stream

FULL_STEPS, SHORTEST, MAX_LEAPFROGS = 0.8, 0.05, 64
LARGEST_STEP = 2.0
"""In white coordinates: a turn by a quarter, after which a draw from N(0, I) is independent of the one before."""


class Kept(NamedTuple):
    """Draws and scores in the coordinates of the target, the chains' last state there, acceptances, and evaluations of
    the target a chain.
    """

    x: Float[Tensor, "draw chain dim"]
    score: Float[Tensor, "draw chain dim"]
    state: State
    acceptance: Float[Tensor, " chain"]
    num_nonfinite: int
    num_gradients: int


def jitter(random: Random, num_chains: int) -> Float[Tensor, "chain 1"]:
    """The factor c of each chain's step: 1 with probability .8, else log-uniform on (.05, 1)."""
    choice, size = random.uniform(2, num_chains, 1)
    return torch.where(choice < FULL_STEPS, 1.0, (math.log(SHORTEST) * size).exp())


def num_leapfrogs(random: Random, step_size: float, length: float) -> int:
    """Steps to a length of `length U(.5, 1.5)`, at least 1 and at most 64, the same of all chains."""
    jittered = length * (0.5 + float(random.uniform(1)[0]))
    return min(max(round(jittered / step_size), 1), MAX_LEAPFROGS)


def is_jump(stream: Stream, phase: int, index: int, jumps: Jumps | None) -> bool:
    """Whether transition `index` of a phase is a jump, the same of all chains."""
    return jumps is not None and float(stream.at(phase, 4 * index + 3).uniform(1)[0]) < jumps.share


def transition(
    stream: Stream,
    phase: int,
    index: int,
    state: State,
    target: Target,
    step_size: float,
    length: float,
    jumps: Jumps | None = None,
    frequency: float = 1.0,
) -> tuple[State, Info, int]:
    """Transition `index` of a phase, which uses four steps of the stream; and its evaluations of the target. The
    frequency (see `hmc`) is that of white coordinates unless it is given.
    """
    if jumps is not None and is_jump(stream, phase, index, jumps):
        return *jump.step(stream.at(phase, 4 * index), state, target, jumps.mixture), 1
    steps = num_leapfrogs(stream.at(phase, 4 * index), step_size, length)
    factor = jitter(stream.at(phase, 4 * index + 1), len(state.x)).to(state.x)
    state, info = hmc.step(stream.at(phase, 4 * index + 2), state, target, step_size * factor, steps, frequency)
    return state, info, steps


def keep(
    stream: Stream,
    phase: int,
    state: State,
    target: Target,
    coordinates: Coordinates,
    step_size: float,
    length: float,
    jumps: Jumps | None,
    num_draws: int,
) -> Kept:
    """`num_draws` transitions of every chain, a pure function of (stream, phase, state). `state` is in the coordinates
    of the target; `step_size`, `length`, the mean length of a trajectory, and `jumps` are in white ones.
    """
    white, pulled = coordinates.pull_state(state), coordinates.pull(target)
    states, accepted, num_nonfinite, num_gradients = [], torch.zeros_like(state.value), 0, 0
    for k in range(num_draws):
        white, info, steps = transition(stream, phase, k, white, pulled, step_size, length, jumps)
        states.append(coordinates.push_state(white))
        accepted += info.is_accepted
        num_nonfinite += int((~info.is_finite).sum())
        num_gradients += steps
    x, score = torch.stack([s.x for s in states]), torch.stack([s.score for s in states])
    return Kept(x, score, states[-1], accepted / num_draws, num_nonfinite, num_gradients)
