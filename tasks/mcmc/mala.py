"""The Metropolis-adjusted Langevin algorithm (Roberts & Tweedie, Bernoulli 2, 1996).

Proposal `y = x + (eta/2) g(x) + sqrt(eta) eps`, `g = grad f`; with `delta = y - x` the log acceptance ratio `f(y) +
ln q(x|y) - f(x) - ln q(y|x)` is `[f(y) - f(x) - <delta, g(x)+g(y)>/2] + (eta/8)(|g(x)|^2 - |g(y)|^2)`, a form in
which the large Gaussian terms have already cancelled.
"""

from jaxtyping import Float
from torch import Tensor

from tasks.mcmc.metropolis import Info, State, Target, metropolis
from tasks.mcmc.streams import Random


def propose(noise: Float[Tensor, "chain dim"], state: State, step_size: float | Tensor) -> Float[Tensor, "chain dim"]:
    """`x + (eta/2) g + sqrt(eta) eps`; `step_size` is eta, in data units squared: one for all chains, or [chain, 1]."""
    return state.x + 0.5 * step_size * state.score + step_size**0.5 * noise


def log_acceptance_ratio(state: State, proposal: State, step_size: float | Tensor) -> Float[Tensor, " chain"]:
    """`f(y) + ln q(x|y) - f(x) - ln q(y|x)` of each chain, in nats."""
    delta = proposal.x - state.x
    trapezoid = 0.5 * (delta * (state.score + proposal.score)).sum(1)
    kinetic = (state.score.square() - proposal.score.square()).sum(1, keepdim=True) * (step_size / 8)
    return proposal.value - state.value - trapezoid + kinetic[:, 0]


def step(random: Random, state: State, target: Target, step_size: float | Tensor) -> tuple[State, Info]:
    """One step of every chain, with one evaluation of the target."""
    y = propose(random.normal(*state.x.shape).to(state.x), state, step_size)
    proposal = State(y, *target(y))
    uniform = random.uniform(len(y)).to(y.device)
    return metropolis(uniform, state, proposal, log_acceptance_ratio(state, proposal, step_size))
