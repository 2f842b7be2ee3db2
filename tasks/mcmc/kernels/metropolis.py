"""The Metropolis-Hastings test: one decision a chain, exact, with everything that is not a number refused."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Target = Callable[[Tensor], tuple[Tensor, Tensor]]
"""A density to sample: points [chain, dim] -> (log density [chain] in nats, its gradient [chain, dim])."""


class State(NamedTuple):
    """Where the chains are, with the log density and score there, so that a step evaluates only its proposal."""

    x: Float[Tensor, "chain dim"]
    value: Float[Tensor, " chain"]
    score: Float[Tensor, "chain dim"]


class Info(NamedTuple):
    """What one step did: log acceptance ratio, decision, and whether the proposal's density was a number."""

    log_ratio: Float[Tensor, " chain"]
    is_accepted: Bool[Tensor, " chain"]
    is_finite: Bool[Tensor, " chain"]


def init(x: Float[Tensor, "chain dim"], target: Target) -> State:
    """The state of chains that start at `x`."""
    return State(x, *target(x))


def metropolis(
    uniform: Float[Tensor, " chain"], state: State, proposal: State, log_ratio: Float[Tensor, " chain"]
) -> tuple[State, Info]:
    """Accept each chain's proposal with probability `min(1, exp log_ratio)`; a ratio that is NaN, or a density or
    score that is not finite, is a rejection and is counted. (`f = -inf`, out of the support, is rejected exactly
    and not counted.)
    """
    is_outside = proposal.value == -torch.inf
    is_finite = 0 * log_ratio + (0 * proposal.score).sum(1) == 0  # 10 times as fast as isfinite().all(1)
    is_accepted = is_finite & (uniform.log() < log_ratio)
    return choose(is_accepted, proposal, state), Info(log_ratio, is_accepted, is_finite | is_outside)


def choose(condition: Bool[Tensor, " chain"], yes: State, no: State) -> State:
    """The state of `yes` for the chains of the condition, of `no` for the others."""
    return State(
        torch.where(condition[:, None], yes.x, no.x),
        torch.where(condition, yes.value, no.value),
        torch.where(condition[:, None], yes.score, no.score),
    )


def acceptance_probability(info: Info) -> Float[Tensor, " chain"]:
    """`min(1, r)` of each chain, 0 where the proposal was not a number: what step sizes are tuned on."""
    return torch.where(info.is_finite, info.log_ratio.clamp(max=0).exp(), 0.0).nan_to_num(0.0)
