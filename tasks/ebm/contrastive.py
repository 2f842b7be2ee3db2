"""Contrastive divergence (Hinton, Neural Computation 14, 2002) and its persistent form (Tieleman, ICML 2008).

The gradient of the mean log likelihood is `E_data grad f - E_model grad f`. The model's side is estimated at
*negatives*, where chains of a few Metropolis-adjusted Langevin steps end that started at the data or, in the persistent
form, where the last call left them.
"""

import dataclasses
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels import mala, metropolis
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.streams import Random


def contrastive_divergence(
    log_density: Callable[[Tensor], Tensor], rows: Float[Tensor, "row dim"], negatives: Float[Tensor, "row dim"]
) -> Float[Tensor, " row"]:
    """`f(negative) - f(row)` of each pair, in nats: to minimise it raises `f` at the data.

    The negatives are constants: no gradient goes through the chains. Its value is no measure of fit: it is near 0 for
    every density that the chains have had the time to follow.
    """
    return log_density(negatives.detach()) - log_density(rows)


def negatives(
    random: Random, target: Target, start: Float[Tensor, "row dim"], step_size: float, num_steps: int
) -> Float[Tensor, "row dim"]:
    """Where MALA chains from `start` are after `num_steps` steps; step k takes the numbers of phase `random.phase + k`.

    `start` is the data for contrastive divergence and the last call's result for the persistent form.
    """
    state = metropolis.init(start, target)
    for k in range(num_steps):
        state, _ = mala.step(dataclasses.replace(random, phase=random.phase + k), state, target, step_size)
    return state.x
