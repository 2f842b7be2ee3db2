"""Chains of a warm-up that are lost start again where another chain is. Never used on kept draws: it is not exact."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import State
from scorefleet.tasks.mcmc.streams import Random


def is_far(elbo: Float[Tensor, " chain"], dim: int) -> Bool[Tensor, " chain"]:
    """Chains whose ELBO is below `q90 - (3 dim + 10)` nats: far from the mass of the others. Modes are kept apart, for
    their ELBOs differ by the logarithm of their weights.
    """
    return ~(elbo >= elbo.quantile(0.9, interpolation="higher") - (3 * dim + 10))


def is_stuck(acceptance: Float[Tensor, " chain"]) -> Bool[Tensor, " chain"]:
    """Chains that accept less than a quarter of what all do: in a place too narrow for the step of the others."""
    return acceptance < 0.25 * acceptance.mean()


def restart(random: Random, state: State, is_lost: Bool[Tensor, " chain"]) -> State:
    """Each lost chain at the place of one that is not, drawn at random; all stay when all are lost."""
    good = (~is_lost).nonzero()[:, 0]
    if len(good) == 0:
        return state
    other = good[random.integers(len(good), len(is_lost)).to(good.device)]
    source = torch.where(is_lost, other, torch.arange(len(is_lost), device=other.device))
    return State(*(tensor[source] for tensor in state))
