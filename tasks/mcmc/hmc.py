"""Hamiltonian Monte Carlo (Duane et al., Physics Letters B 195, 1987; Neal, arXiv 1206.1901, section 5.3).

With `H(x, p) = -f(x) + |p|^2/2`, draw `p ~ N(0, I)`, follow the leapfrog for `num_leapfrogs` steps of `step_size`, and
accept with log ratio `H(x, p) - H(x', p')`. The leapfrog keeps volume and is its own inverse after a change of the
sign of p, so this ratio is exact whatever the step.
"""

from jaxtyping import Float
from torch import Tensor

from tasks.mcmc.metropolis import Info, State, Target, metropolis
from tasks.mcmc.streams import Random

StepSize = float | Float[Tensor, "chain 1"]


def leapfrog(
    state: State, momentum: Float[Tensor, "chain dim"], target: Target, step_size: StepSize, num_leapfrogs: int
) -> tuple[State, Float[Tensor, "chain dim"]]:
    """`p += (e/2) g; x += e p; p += (e/2) g`, `num_leapfrogs` times, with one evaluation of the target each."""
    for _ in range(num_leapfrogs):
        half = momentum + 0.5 * step_size * state.score
        x = state.x + step_size * half
        state = State(x, *target(x))
        momentum = half + 0.5 * step_size * state.score
    return state, momentum


def log_acceptance_ratio(
    state: State, momentum: Float[Tensor, "chain dim"], proposal: State, final: Float[Tensor, "chain dim"]
) -> Float[Tensor, " chain"]:
    """`H(x, p) - H(x', p')` of each chain, in nats."""
    return proposal.value - state.value + 0.5 * (momentum.square() - final.square()).sum(1)


def step(random: Random, state: State, target: Target, step_size: StepSize, num_leapfrogs: int) -> tuple[State, Info]:
    """One trajectory of every chain. `step_size` is in units of x, one of all chains or one a chain, and may be drawn
    anew for each trajectory, independently of the state. A trajectory that leaves the numbers is rejected.
    """
    momentum = random.normal(*state.x.shape).to(state.x)
    proposal, final = leapfrog(state, momentum, target, step_size, num_leapfrogs)
    uniform = random.uniform(len(state.x)).to(state.x.device)
    return metropolis(uniform, state, proposal, log_acceptance_ratio(state, momentum, proposal, final))
