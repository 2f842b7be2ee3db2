"""Hamiltonian Monte Carlo (Duane et al., Physics Letters B 195, 1987; Neal, arXiv 1206.1901, section 5.3).

With `H(x, p) = -f(x) + |p|^2/2`, draw `p ~ N(0, I)`, follow the leapfrog for `num_leapfrogs` steps of `step_size`, and
accept with log ratio `H(x, p) - H(x', p')`. The leapfrog keeps volume and is its own inverse after a change of the
sign of p, so this ratio is exact whatever the step.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tasks.mcmc.metropolis import Info, State, Target, metropolis
from tasks.mcmc.streams import Random

DIVERGED = 1000.0
"""Nats by which no trajectory falls that is followed well (the threshold of Stan; Betancourt, arXiv 1701.02434)."""

StepSize = float | Float[Tensor, "chain 1"]


def leapfrog(
    state: State, momentum: Float[Tensor, "chain dim"], target: Target, step_size: StepSize, num_leapfrogs: int
) -> tuple[State, Float[Tensor, "chain dim"], Bool[Tensor, " chain"]]:
    """`p += (e/2) g; x += e p; p += (e/2) g`, `num_leapfrogs` times, with one evaluation of the target each; and which
    chains fell by `DIVERGED` nats or more on the way, before anything there was not a number.
    """
    lowest, is_diverged = state.value - DIVERGED, torch.zeros_like(state.value, dtype=torch.bool)
    angle = torch.as_tensor(step_size, dtype=state.x.dtype).clamp(max=3.0)
    kick, drift = (0.5 * angle).tan(), angle.sin()
    for _ in range(num_leapfrogs):
        half = momentum + kick * state.score
        x = state.x + drift * half
        state = State(x, *target(x))
        momentum = half + kick * state.score
        is_diverged |= state.value < lowest
    return state, momentum, is_diverged


def log_acceptance_ratio(
    state: State, momentum: Float[Tensor, "chain dim"], proposal: State, final: Float[Tensor, "chain dim"]
) -> Float[Tensor, " chain"]:
    """`H(x, p) - H(x', p')` of each chain, in nats."""
    return proposal.value - state.value + 0.5 * (momentum.square() - final.square()).sum(1)


def step(random: Random, state: State, target: Target, step_size: StepSize, num_leapfrogs: int) -> tuple[State, Info]:
    """One trajectory of every chain. `step_size` is in units of x, one of all chains or one a chain, and may be drawn
    anew for each trajectory, independently of the state. A trajectory that leaves the numbers is rejected; where it had
    diverged before, the step was too long for the place, and the density is not to blame.
    """
    momentum = random.normal(*state.x.shape).to(state.x)
    proposal, final, is_diverged = leapfrog(state, momentum, target, step_size, num_leapfrogs)
    uniform = random.uniform(len(state.x)).to(state.x.device)
    state, info = metropolis(uniform, state, proposal, log_acceptance_ratio(state, momentum, proposal, final))
    return state, info._replace(is_finite=info.is_finite | is_diverged)
