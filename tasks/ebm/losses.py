"""The objectives beside denoising, as loss modules: each is applied to the noised rows at their levels.

They are called like `EnergyLoss` and return what it does, with another first term; the time-score term stays beside it.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from scorefleet.tasks.ebm.contrastive import contrastive_divergence, negatives
from scorefleet.tasks.ebm.energies import LogDensity, ScoreOnly, value_and_score
from scorefleet.tasks.ebm.networks import Norm
from scorefleet.tasks.ebm.noise import add_noise, noise_level
from scorefleet.tasks.ebm.objectives import EnergyLoss, Loss, scores
from scorefleet.tasks.ebm.parts import Part
from scorefleet.tasks.ebm.score_matching import Score, at_levels, implicit, noised_target, rademacher, score_of, sliced
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.streams import Random

NUM_STEPS = 5  # Langevin steps between the data, or the particles, and the negatives
ObjectiveName = Literal["denoising", "explicit", "implicit", "sliced", "contrastive", "persistent"]


class ExplicitLoss(Loss):
    """`E[ beta |S - s~|^2 ] / d`, `s~` the target made of the known score (11.2) and the noise: `noised_target`.

    Its minimiser and its excess over the minimum are those of denoising at every level.
    """

    information = 1.0

    def start(
        self,
        noisy: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        known: Float[Tensor, "row dim"] | None = None,
    ) -> None:
        """Take `J = E|s*|^2/d` of these rows; the minimiser does not depend on it."""
        assert known is not None  # refused where the configuration is completed
        self.information = float(known.square().mean())

    def forward(
        self,
        x: Float[Tensor, "row dim"],
        noise: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None,
        random: Part,
        known: Float[Tensor, "row dim"] | None = None,
    ) -> tuple[Tensor, Tensor]:
        assert known is not None
        score, time_score = self.scores(add_noise(x, noise, logit_beta), logit_beta, condition)
        target = noised_target(known, noise, logit_beta, self.information)
        value = torch.sigmoid(logit_beta) * (score - target).square().sum(1) / x.shape[1]
        return value.mean(), self.time_term(time_score, noise)


class ImplicitLoss(Loss):
    """`E[ beta (|S|^2 + 2 div S) ] / d`: in expectation the denoising loss less 1, at every level."""

    def __init__(self, log_density: nn.Module, time_score_weight: float):
        super().__init__(log_density, time_score_weight)
        for module in log_density.modules():
            if isinstance(module, Norm):
                module.is_fused = False  # its third derivative is wrong, and the gradient of a divergence has one

    def forward(
        self,
        x: Float[Tensor, "row dim"],
        noise: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None,
        random: Part,
        known: Float[Tensor, "row dim"] | None = None,
    ) -> tuple[Tensor, Tensor]:
        noisy, given = add_noise(x, noise, logit_beta), at_levels(self.given(condition), logit_beta)
        score = given if isinstance(self.log_density, ScoreOnly) else score_of(given)
        value = torch.sigmoid(logit_beta) * self.matching(score, noisy, random) / x.shape[1]
        return value.mean(), self.time_term(self.scores(noisy, logit_beta, condition)[1], noise)

    def matching(self, score: Score, noisy: Float[Tensor, "row dim"], random: Part) -> Float[Tensor, " row"]:
        """`|S|^2 + 2 div S` of each row."""
        return implicit(score, noisy)


class SlicedLoss(ImplicitLoss):
    """The same with Hutchinson's estimate of the divergence, one probe a row: a cost that does not grow with d."""

    def matching(self, score: Score, noisy: Float[Tensor, "row dim"], random: Part) -> Float[Tensor, " row"]:
        """An unbiased estimate of `|S|^2 + 2 div S` of each row."""
        return sliced(score, noisy, rademacher(random.uniform(*noisy.shape).to(noisy)))


class ContrastiveLoss(Loss):
    """`E[f(negative) - f(row)] / d`, the negatives from chains that start at the noised rows."""

    def forward(
        self,
        x: Float[Tensor, "row dim"],
        noise: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None,
        random: Part,
        known: Float[Tensor, "row dim"] | None = None,
    ) -> tuple[Tensor, Tensor]:
        noisy, log_density = add_noise(x, noise, logit_beta), self.given(condition)
        ends = self.advance(random, log_density, noisy, logit_beta)
        return self.contrast(log_density, noisy, noise, logit_beta, ends)

    def contrast(
        self,
        log_density: LogDensity,
        noisy: Float[Tensor, "row dim"],
        noise: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        ends: Float[Tensor, "row dim"],
    ) -> tuple[Tensor, Tensor]:
        """The loss of noised rows against the ends of chains at the same levels."""
        value = contrastive_divergence(at_levels(log_density, logit_beta), noisy, ends) / noisy.shape[1]
        return value.mean(), self.time_term(scores(log_density, noisy, logit_beta)[1], noise)

    def advance(
        self,
        random: Random,
        log_density: LogDensity,
        start: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
    ) -> Float[Tensor, "row dim"]:
        """The negatives of chains at their own levels, without dropout: a chain needs a density that stays the same.

        In units of the noise, `x'/sqrt(beta)`, one step size serves all levels: `d^(-1/3)` (Roberts & Rosenthal 1998).
        """
        scale, was_training = noise_level(logit_beta)[:, None], self.log_density.training
        self.log_density.eval()
        step_size = start.shape[1] ** (-1 / 3)
        ends = scale * negatives(random, _scaled(log_density, logit_beta), start / scale, step_size, NUM_STEPS)
        self.log_density.train(was_training)
        return ends


class Particles(nn.Module):
    """Where persistent chains are, `x` [row, dim], and the levels they stay at, `logit_beta` [row]; empty at first."""

    x: Tensor
    logit_beta: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("x", torch.empty(0))
        self.register_buffer("logit_beta", torch.empty(0))


class PersistentLoss(ContrastiveLoss):
    """`E[f(negative) - f(row)] / d`, the negatives from chains that go on from step to step.

    Every worker advances the particles of all, with the same numbers, so all have the same ones and one checkpoint
    holds them. A particle keeps the level it started at, and rows are noised at the levels of the particles, so that a
    pair is compared at one level. They have no conditions.
    """

    def __init__(self, log_density: nn.Module, time_score_weight: float):
        super().__init__(log_density, time_score_weight)
        self.particles = Particles()

    def start(
        self,
        noisy: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        known: Float[Tensor, "row dim"] | None = None,
    ) -> None:
        """Put the particles at noised rows."""
        self.particles.x, self.particles.logit_beta = noisy.clone(), logit_beta.clone()

    def forward(
        self,
        x: Float[Tensor, "row dim"],
        noise: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None,
        random: Part,
        known: Float[Tensor, "row dim"] | None = None,
    ) -> tuple[Tensor, Tensor]:
        assert condition is None  # refused where the configuration is completed
        all_levels = self.particles.logit_beta
        self.particles.x.copy_(self.advance(random.whole(), self.log_density, self.particles.x, all_levels))
        ends, levels = (part.tensor_split(random.world_size)[random.rank] for part in (self.particles.x, all_levels))
        return self.contrast(self.log_density, add_noise(x, noise, levels), noise, levels, ends.clone())


def _scaled(log_density: LogDensity, logit_beta: Float[Tensor, " row"]) -> Target:
    scale = noise_level(logit_beta)[:, None]

    def target(u: Tensor) -> tuple[Tensor, Tensor]:
        value, score = value_and_score(log_density, scale * u, logit_beta)
        return value, scale * score

    return target


LOSSES: dict[ObjectiveName, Callable[[nn.Module, float], Loss]] = {
    "denoising": EnergyLoss,
    "explicit": ExplicitLoss,
    "implicit": ImplicitLoss,
    "sliced": SlicedLoss,
    "contrastive": ContrastiveLoss,
    "persistent": PersistentLoss,
}
