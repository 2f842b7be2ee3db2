"""The noise kernel `x' = sqrt(1-beta) x + sqrt(beta) eps` (11.4, 11.5), written in `t = logit beta`.

With `sigma^2 = beta/(1-beta)` it is `x' = (x + sigma eps)/sqrt(1+sigma^2)` and `t = 2 ln sigma`: the logit is the
log noise variance in units of the (standardised) data, so it has no end points and equal steps in it are equal
factors of noise.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

LOGIT_BETA_MIN, LOGIT_BETA_MAX = (
    -8.0,
    8.0,
)  # sigma from .018 to 55: data that are exact to 2 %, and pure noise


def signal_level(logit_beta: Tensor) -> Tensor:
    """`sqrt(1 - beta)`."""
    return torch.sigmoid(-logit_beta).sqrt()


def noise_level(logit_beta: Tensor) -> Tensor:
    """`sqrt(beta)`."""
    return torch.sigmoid(logit_beta).sqrt()


def add_noise(
    x: Float[Tensor, "row dim"], noise: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]
) -> Float[Tensor, "row dim"]:
    """`x' = sqrt(1-beta) x + sqrt(beta) eps` (11.4)."""
    return signal_level(logit_beta)[:, None] * x + noise_level(logit_beta)[:, None] * noise


def denoise(
    x: Float[Tensor, "row dim"], score: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]
) -> Float[Tensor, "row dim"]:
    """Tweedie's posterior mean `E[x|x'] = (x' + beta S(x', beta)) / sqrt(1-beta)` (11.13)."""
    beta = torch.sigmoid(logit_beta)[:, None]
    return (x + beta * score) / signal_level(logit_beta)[:, None]


def training_levels(uniforms: Float[Tensor, "row 2"]) -> Float[Tensor, " row"]:
    """Levels `t` to train at, from two uniforms a row: two thirds `N(-1, 2^2)`, one third uniform over the whole
    range.

    The normal part is like that of Karras et al. (arXiv 2206.00364), where the score is hardest to learn; the uniform
    part keeps the energy right over the whole ladder that the chains descend. The rows of a batch take one stratum of
    the distribution each, so that the loss varies less from batch to batch.
    """
    choice, place = uniforms.unbind(1)
    place = (torch.arange(len(place)).to(place) + place) / len(place)
    span = LOGIT_BETA_MAX - LOGIT_BETA_MIN
    normal = -1.0 + 2.0 * torch.special.ndtri(place.clamp(1e-6, 1 - 1e-6))
    return torch.where(choice < 1 / 3, LOGIT_BETA_MIN + span * place, normal).clamp(LOGIT_BETA_MIN, LOGIT_BETA_MAX)


def logit_beta_of(sigma: float) -> float:
    """The level at which the noise has `sigma` standard deviations of the data: `2 ln sigma`."""
    return 2 * math.log(sigma)


def ladder(num_levels: int, lowest: float) -> Float[Tensor, " level"]:
    """Noise levels `t` from pure noise to the lowest, equally spaced in log noise variance."""
    return torch.linspace(LOGIT_BETA_MAX, lowest, num_levels)
