"""Hamiltonian Monte Carlo (Duane et al., Physics Letters B 195, 1987; Neal, arXiv 1206.1901, section 5.3).

With `H(x, p) = -f(x) + |p|^2/2`, draw `p ~ N(0, I)`, follow the leapfrog for `num_leapfrogs` steps of `step_size`, and
accept with log ratio `H(x, p) - H(x', p')`. The leapfrog keeps volume and is its own inverse after a change of the
sign of p, so this ratio is exact whatever the step.

Where the target is near `N(0, I/w^2)`, a drift shortened to `e/(1 + w^2 e^2/4)` makes the leapfrog exact on it: every
step is a turn of `(w x, p)` by `2 atan(w e/2)`, and what it errs by comes of the rest of the density alone. It is
the splitting into a Gaussian and a rest (Shahbaba et al., Stat. Comput. 24, 2014; Casas, Sanz-Serna & Shaw, Stat.
Comput. 32, 2022) with kicks that are right for a normal about another mean too. `w = 0` is the leapfrog of the books.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target, metropolis
from scorefleet.tasks.mcmc.streams import Random

DIVERGED = 1000.0
"""Nats by which no trajectory falls that is followed well (the threshold of Stan; Betancourt, arXiv 1701.02434)."""

StepSize = float | Float[Tensor, "chain 1"]


def leapfrog(
    state: State,
    momentum: Float[Tensor, "chain dim"],
    target: Target,
    step_size: StepSize,
    num_leapfrogs: int,
    frequency: float = 0.0,
) -> tuple[State, Float[Tensor, "chain dim"], Bool[Tensor, " chain"]]:
    """`p += (e/2) g; x += e/(1 + w^2 e^2/4) p; p += (e/2) g`, `num_leapfrogs` times, with one evaluation of the
    target each; and which chains fell by `DIVERGED` nats or more on the way, before anything there was not a number.
    """
    drift = step_size / (1 + (0.5 * frequency * step_size) ** 2)
    lowest, is_diverged = state.value - DIVERGED, torch.zeros_like(state.value, dtype=torch.bool)
    for _ in range(num_leapfrogs):
        half = momentum + 0.5 * step_size * state.score
        x = state.x + drift * half
        state = State(x, *target(x))
        momentum = half + 0.5 * step_size * state.score
        is_diverged |= state.value < lowest
    return state, momentum, is_diverged


def log_acceptance_ratio(
    state: State, momentum: Float[Tensor, "chain dim"], proposal: State, final: Float[Tensor, "chain dim"]
) -> Float[Tensor, " chain"]:
    """`H(x, p) - H(x', p')` of each chain, in nats."""
    return proposal.value - state.value + 0.5 * (momentum.square() - final.square()).sum(1)


def step(
    random: Random, state: State, target: Target, step_size: StepSize, num_leapfrogs: int, frequency: float = 0.0
) -> tuple[State, Info]:
    """One trajectory of every chain. `step_size` is in units of x, one of all chains or one a chain, and may be drawn
    anew for each trajectory, independently of the state. A trajectory that leaves the numbers is rejected; where it had
    diverged before, the step was too long for the place, and the density is not to blame.
    """
    momentum = random.normal(*state.x.shape).to(state.x)
    proposal, final, is_diverged = leapfrog(state, momentum, target, step_size, num_leapfrogs, frequency)
    uniform = random.uniform(len(state.x)).to(state.x.device)
    state, info = metropolis(uniform, state, proposal, log_acceptance_ratio(state, momentum, proposal, final))
    return state, info._replace(is_finite=info.is_finite | is_diverged)
