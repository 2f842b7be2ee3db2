"""Metropolis-adjusted Langevin as the lecture prints it (section 11.2.1): the drift is `eta g`, not `(eta/2) g`.

Proposal `y = x + eta g(x) + sqrt(eta) eps`; with `delta = y - x` the log acceptance ratio `f(y) + ln q(x|y) - f(x) -
ln q(y|x)` is `f(y) - f(x) - <delta, g(x)+g(y)> + (eta/2)(|g(x)|^2 - |g(y)|^2)`.

It is exact, but it is not the Euler step of a diffusion that leaves exp f invariant (without the test it draws from
exp 2f), so first-order terms stay in the ratio: in high dimension eta must shrink like 1/d, as for random-walk
Metropolis, where MALA's shrinks like d^(-1/3). Its target acceptance is .234 accordingly, against .574 (Roberts &
Rosenthal, Statistical Science 16, 2001). Prefer `mala` unless this form is what is studied.
"""

from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target, metropolis
from scorefleet.tasks.mcmc.streams import Random


def propose(noise: Float[Tensor, "chain dim"], state: State, step_size: float | Tensor) -> Float[Tensor, "chain dim"]:
    """`x + eta g + sqrt(eta) eps`; `step_size` is eta, in data units squared: one for all chains, or [chain, 1]."""
    return state.x + step_size * state.score + step_size**0.5 * noise


def log_acceptance_ratio(state: State, proposal: State, step_size: float | Tensor) -> Float[Tensor, " chain"]:
    """`f(y) + ln q(x|y) - f(x) - ln q(y|x)` of each chain, in nats."""
    drift = ((proposal.x - state.x) * (state.score + proposal.score)).sum(1)
    kinetic = (state.score.square() - proposal.score.square()).sum(1, keepdim=True) * (step_size / 2)
    return proposal.value - state.value - drift + kinetic[:, 0]


def step(random: Random, state: State, target: Target, step_size: float | Tensor) -> tuple[State, Info]:
    """One step of every chain, with one evaluation of the target."""
    y = propose(random.normal(*state.x.shape).to(state.x), state, step_size)
    proposal = State(y, *target(y))
    uniform = random.uniform(len(y)).to(y.device)
    return metropolis(uniform, state, proposal, log_acceptance_ratio(state, proposal, step_size))
