"""The unadjusted Langevin algorithm: the proposal of MALA, always taken.

`y = x + (eta/2) g(x) + sqrt(eta) eps`, the Euler step of the Langevin diffusion (Roberts & Tweedie, Bernoulli 2, 1996).
Its law is not the target's but one that differs by O(eta): on N(0, 1) the variance is `1/(1 - eta/4)`. It serves to
move chains quickly while nothing is kept; what is kept needs the Metropolis test.
"""

import torch
from torch import Tensor

from scorefleet.tasks.mcmc.kernels import mala
from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target, metropolis
from scorefleet.tasks.mcmc.streams import Random


def step(random: Random, state: State, target: Target, step_size: float | Tensor) -> tuple[State, Info]:
    """One step of every chain, with one evaluation of the target.

    `step_size` is eta, in data units squared: one for all chains, or [chain, 1]. A density or score that is not a
    number is refused and counted, and a point out of the support is refused. `Info` holds the ratio with which MALA
    would have decided, so step sizes can be tuned on it and its bias be seen.
    """
    y = mala.propose(random.normal(*state.x.shape).to(state.x), state, step_size)
    proposal = State(y, *target(y))
    certainly = torch.zeros_like(state.value)  # u = 0 accepts whatever ratio is a number
    return metropolis(certainly, state, proposal, mala.log_acceptance_ratio(state, proposal, step_size))
