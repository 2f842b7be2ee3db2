"""The Metropolis-adjusted Langevin algorithm (Roberts & Tweedie, Bernoulli 2, 1996).

Proposal `y = x + (eta/2) g(x) + sqrt(eta) eps`, `g = grad f`; with `delta = y - x` the log acceptance ratio `f(y) +
ln q(x|y) - f(x) - ln q(y|x)` is `[f(y) - f(x) - <delta, g(x)+g(y)>/2] + (eta/8)(|g(x)|^2 - |g(y)|^2)`, a form in
which the large Gaussian terms have already cancelled.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels import passes
from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target, metropolis
from scorefleet.tasks.mcmc.streams import Random


def propose(noise: Float[Tensor, "chain dim"], state: State, step_size: float | Tensor) -> Float[Tensor, "chain dim"]:
    """`x + (eta/2) g + sqrt(eta) eps`; `step_size` is eta, in data units squared: one for all chains, or [chain, 1]."""
    return state.x + 0.5 * step_size * state.score + step_size**0.5 * noise


def log_acceptance_ratio(state: State, proposal: State, step_size: float | Tensor) -> Float[Tensor, " chain"]:
    """`f(y) + ln q(x|y) - f(x) - ln q(y|x)` of each chain, in nats."""
    delta, both = proposal.x - state.x, state.score + proposal.score
    trapezoid = 0.5 * torch.linalg.vecdot(delta, both)
    kinetic = torch.linalg.vecdot(state.score - proposal.score, both)[:, None] * (step_size / 8)
    return proposal.value - state.value - trapezoid + kinetic[:, 0]


def step(random: Random, state: State, target: Target, step_size: float | Tensor) -> tuple[State, Info]:
    """One step of every chain, with one evaluation of the target."""
    is_fast = passes.are_possible(state)
    noise = random.normal(*state.x.shape).to(state.x)
    y = passes.propose(noise, state, step_size) if is_fast else propose(noise, state, step_size)
    proposal = State(y, *target(y))
    uniform = random.uniform(len(y)).to(y.device)
    if is_fast:
        return passes.decide(uniform, state, proposal, step_size)
    return metropolis(uniform, state, proposal, log_acceptance_ratio(state, proposal, step_size))
