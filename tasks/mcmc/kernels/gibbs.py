"""Metropolis within Gibbs: each step moves one coordinate of each chain (Tierney, Annals of Statistics 22, 1994).

Coordinate `i` is drawn uniformly for each chain, `y = x + sqrt(eta) eps e_i`, symmetric, so the log acceptance ratio is
`f(y) - f(x)`. The choice does not depend on where the chain is, so every step leaves the target invariant and is
reversible; and however few steps lie between two kept draws, no coordinate is left out, as it would be in a cycle that
starts anew after each. A sweep of all coordinates costs d steps; the target acceptance in one dimension is .44.
"""

from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target, metropolis
from scorefleet.tasks.mcmc.streams import Random


def step(random: Random, state: State, target: Target, step_size: float | Tensor) -> tuple[State, Info]:
    """One step of every chain, with one evaluation of the target.

    `step_size` is eta, in data units squared: one for all chains, or [chain, 1].
    """
    num_chains, dim = state.x.shape
    coordinate = random.integers(dim, num_chains, 1).to(state.x.device)
    move = step_size**0.5 * random.normal(num_chains, 1).to(state.x)
    y = state.x.scatter_add(1, coordinate, move)
    proposal = State(y, *target(y))
    return metropolis(random.uniform(num_chains).to(y.device), state, proposal, proposal.value - state.value)
