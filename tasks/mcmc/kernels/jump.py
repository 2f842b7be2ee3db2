"""Independence proposals from a frozen mixture, among the steps of another kernel (Tierney, Annals of Statistics 22,
1994; fitted to draws of many chains, as in population Monte Carlo: Cappe et al., Statistics and Computing 18, 2008).

`y ~ q` whatever x is; the log acceptance ratio is `f(y) - f(x) + ln q(x) - ln q(y)`. Whether a transition jumps is
drawn without a look at the state, so that the mixture of the two keeps the target.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target, metropolis
from scorefleet.tasks.mcmc.streams import Random
from scorefleet.tasks.mcmc.warmup.mixture import Mixture


class Jumps(NamedTuple):
    """Where jumps go, and the share of transitions that are jumps."""

    mixture: Mixture
    share: float


def log_acceptance_ratio(state: State, proposal: State, mixture: Mixture) -> Float[Tensor, " chain"]:
    """`f(y) + ln q(x) - f(x) - ln q(y)` of each chain, in nats."""
    return proposal.value - state.value + mixture.log_density(state.x) - mixture.log_density(proposal.x)


def step(random: Random, state: State, target: Target, mixture: Mixture) -> tuple[State, Info]:
    """One jump of every chain, with one evaluation of the target."""
    num_chains = len(state.x)
    y = mixture.draw(random, num_chains)
    proposal = State(y, *target(y))
    uniform = random.uniform(2, num_chains)[0].to(y.device)
    return metropolis(uniform, state, proposal, log_acceptance_ratio(state, proposal, mixture))
