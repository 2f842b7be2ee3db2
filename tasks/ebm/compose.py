"""New densities from trained ones: products, conditions, tempering, and coordinates that are held fixed.

All but `masked` take and give log densities `f(x', t)` in nats, up to a constant, so they nest, and
`energies.value_and_score` makes a target of each. At the level t they are what they say of the *noised* densities: a
product of noised densities is not the noised product, so only the lowest level is the composition of the data's
densities, and the levels above it are a path that leads there.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from scorefleet.tasks.ebm.energies import LogDensity
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.mcmc.kernels.metropolis import Target

LogClassifier = Callable[[Tensor, Tensor], Tensor]
"""Points [row, dim] and levels [row] -> log probabilities of the classes [row, class]."""


def product(log_densities: Sequence[LogDensity], weights: Sequence[float] | None = None) -> LogDensity:
    """`sum_k w_k f_k(x', t)`: the density `prod_k p_k^(w_k)`, all weights 1 when none are given."""
    chosen = [1.0] * len(log_densities) if weights is None else list(weights)
    if not log_densities or len(chosen) != len(log_densities):
        raise UsageError(
            f"a product needs one weight for each of its densities, but got {len(chosen)} weights for "
            f"{len(log_densities)} densities: give both the same length, at least 1"
        )

    def log_density(x: Tensor, logit_beta: Tensor) -> Tensor:
        parts = [w * f(x, logit_beta) for w, f in zip(chosen, log_densities, strict=True)]
        return torch.stack(parts).sum(0)

    return log_density


def conditional(log_density: LogDensity, log_classifier: LogClassifier, label: int) -> LogDensity:
    """`f(x', t) + ln p(label | x', t)`: by Bayes' rule the density of the rows of one class."""
    return product([log_density, lambda x, logit_beta: log_classifier(x, logit_beta)[:, label]])


def masked(target: Target, mask: Bool[Tensor, " dim"], values: Float[Tensor, "*chain value"]) -> Target:
    """The density of the free coordinates given the others: `mask` is true where a coordinate is held at `values`.

    The target takes and gives the free coordinates alone, in their order; `filled` puts rows together again.
    """
    if len(mask) != values.shape[-1] or bool(mask.all()):
        raise UsageError(
            f"a mask must have one entry for each of the values and leave one free, but got {int(mask.sum())} fixed of "
            f"{len(mask)} entries for {values.shape[-1]} values: free a coordinate, or give as many values as entries"
        )

    def free(x: Tensor) -> tuple[Tensor, Tensor]:
        value, score = target(filled(x, mask, values))
        return value, score[:, ~mask]

    return free


def filled(
    x: Float[Tensor, "chain free"], mask: Bool[Tensor, " dim"], values: Float[Tensor, "*chain dim"]
) -> Float[Tensor, "chain dim"]:
    """Whole rows: the free coordinates `x`, and `values` where `mask` is true."""
    rows = values.to(x).expand(len(x), len(mask)).clone()
    rows[:, ~mask] = x
    return rows
