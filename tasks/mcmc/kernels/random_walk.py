"""Random-walk Metropolis (Metropolis et al., J. Chem. Phys. 21, 1953).

Proposal `y = x + sqrt(eta) eps`, symmetric, so the log acceptance ratio is `f(y) - f(x)`. The score guides nothing: it
is for densities whose gradient is worthless, and a yardstick for kernels that use it. Step sizes go like 1/d, at a
target acceptance of .234 (Roberts, Gelman & Gilks, Ann. Appl. Probab. 7, 1997).
"""

from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target, metropolis
from scorefleet.tasks.mcmc.streams import Random


def step(random: Random, state: State, target: Target, step_size: float | Tensor) -> tuple[State, Info]:
    """One step of every chain, with one evaluation of the target.

    `step_size` is eta, in data units squared: one for all chains, or [chain, 1].
    """
    y = state.x + step_size**0.5 * random.normal(*state.x.shape).to(state.x)
    proposal = State(y, *target(y))
    return metropolis(random.uniform(len(y)).to(y.device), state, proposal, proposal.value - state.value)
