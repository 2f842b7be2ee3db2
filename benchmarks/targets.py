"""Densities that are known exactly at every noise level: what a trained energy and its draws are held against."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Mixture:
    """`sum_k w_k N(mean_k, diag(variance))` in float64, in whatever coordinates its fields are given in."""

    log_weights: Float[Tensor, " mode"]
    means: Float[Tensor, "mode dim"]
    variance: Float[Tensor, " dim"]

    def sample(self, num_rows: int, generator: torch.Generator) -> Float[Tensor, "row dim"]:
        """Independent exact rows."""
        modes = torch.multinomial(self.log_weights.exp(), num_rows, replacement=True, generator=generator)
        noise = torch.randn(num_rows, self.means.shape[1], generator=generator, dtype=torch.float64)
        return self.means[modes] + self.variance.sqrt() * noise

    def log_joint(self, x: Float[Tensor, "row dim"]) -> Float[Tensor, "row mode"]:
        """`ln w_k + ln N(x; mean_k, variance)`, in nats."""
        squared = ((x[:, None] - self.means).square() / self.variance).sum(2)
        return self.log_weights - 0.5 * squared - 0.5 * (2 * math.pi * self.variance).log().sum()

    def log_density(self, x: Float[Tensor, "row dim"]) -> Float[Tensor, " row"]:
        """Normalised, in nats."""
        return self.log_joint(x).logsumexp(1)

    def responsibilities(self, x: Float[Tensor, "row dim"]) -> Float[Tensor, "row mode"]:
        """`p(mode | x)`: over exact rows its mean is the weight of the mode."""
        return self.log_joint(x).softmax(1)

    def standardised(self, location: Float[Tensor, " dim"], scale: Float[Tensor, " dim"]) -> "Mixture":
        """The law of `(x - location)/scale`."""
        return Mixture(self.log_weights, (self.means - location) / scale, self.variance / scale.square())

    def noised(self, logit_beta: float) -> "Mixture":
        """The law of `x' = sqrt(1-beta) x + sqrt(beta) eps` (11.4)."""
        beta = 1 / (1 + math.exp(-logit_beta))
        return Mixture(self.log_weights, math.sqrt(1 - beta) * self.means, (1 - beta) * self.variance + beta)


def two_gaussians(direction: Float[Tensor, " dim"], weight: float = 0.8, distance: float = 6.0) -> Mixture:
    """Two unit Gaussians `distance` standard deviations apart along the unit vector `direction`."""
    weights = torch.tensor([weight, 1 - weight], dtype=torch.float64)
    means = torch.stack([torch.zeros_like(direction), distance * direction]).double()
    return Mixture(weights.log(), means, torch.ones_like(means[0]))
