"""Metropolis-adjusted Langevin steps for a score without an energy: `f(y) - f(x)` is integrated along the line.

    f(y) - f(x) ~ sum_i w_i <s(x + c_i delta), delta>,   delta = y - x

(Sjoberg et al., arXiv 2307.14012). Only where the field is conservative, `s = grad f` for some f, does the integral not
depend on the path, and only then are these Metropolis-Hastings chains, up to the error of the rule; a network that is
a score and not a gradient is not conservative, so its chains are *MH-like*: they have no exact target, and whoever
shows their draws must say so. The trapezoid of x and y is no rule for a test: it cancels the proposal's own terms, so
that the test knows nothing of the energy between the points; it serves to tune the size of unadjusted steps.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels import mala
from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target, metropolis
from scorefleet.tasks.mcmc.streams import Random


class Rule(NamedTuple):
    """A symmetric rule on [0, 1]: nodes and weights between the ends, and the weight of each end."""

    nodes: tuple[float, ...]
    weights: tuple[float, ...]
    end: float


TRAPEZOID = Rule((), (), 0.5)
"""Exact for a score that is linear along the line; no more evaluations."""
SIMPSON = Rule((0.5,), (2 / 3,), 1 / 6)
"""Exact for a score that is a cubic along the line; one more evaluation a step."""
GAUSS_LEGENDRE_3 = Rule((0.5 - 0.15**0.5, 0.5, 0.5 + 0.15**0.5), (5 / 18, 4 / 9, 5 / 18), 0.0)
"""Exact for a score that is a quintic along the line; three more evaluations a step."""


def log_density_difference(
    target: Target, state: State, proposal: State, rule: Rule = SIMPSON
) -> Float[Tensor, " chain"]:
    """`f(y) - f(x)` of each chain, in nats, from scores alone; with a conservative field, up to the rule's error."""
    delta = proposal.x - state.x
    mean = rule.end * (state.score + proposal.score)
    for node, weight in zip(rule.nodes, rule.weights, strict=True):
        mean = mean + weight * target(state.x + node * delta)[1]
    return (delta * mean).sum(1)


def step(random: Random, state: State, target: Target, step_size: float, rule: Rule = SIMPSON) -> tuple[State, Info]:
    """One MALA step of every chain whose test uses the line integral; the values in `state` are never read."""
    y = mala.propose(random.normal(*state.x.shape).to(state.x), state, step_size)
    proposal = State(y, *target(y))
    integral = log_density_difference(target, state, proposal, rule)
    log_ratio = _log_ratio(state, proposal, integral, step_size)
    return metropolis(random.uniform(len(y)).to(y.device), state, proposal, log_ratio)


def unadjusted(random: Random, state: State, target: Target, step_size: float) -> tuple[State, Info]:
    """The proposal of MALA, always taken unless the score there is not a number, with one evaluation of the target.

    `Info` holds the ratio by the trapezoid, that of MALA where the score is linear, so that step sizes can be tuned.
    """
    y = mala.propose(random.normal(*state.x.shape).to(state.x), state, step_size)
    proposal = State(y, *target(y))
    integral = log_density_difference(target, state, proposal, TRAPEZOID)
    certainly = torch.zeros_like(integral)  # u = 0 accepts whatever ratio is a number
    return metropolis(certainly, state, proposal, _log_ratio(state, proposal, integral, step_size))


def _log_ratio(state: State, proposal: State, integral: Tensor, step_size: float) -> Float[Tensor, " chain"]:
    zero = torch.zeros_like(integral)
    return mala.log_acceptance_ratio(state._replace(value=zero), proposal._replace(value=integral), step_size)
