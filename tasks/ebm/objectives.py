"""What training minimises: denoising score matching (11.16) and the time-score term beside it."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from scorefleet.tasks.ebm.energies import LogDensity, ScoreOnly
from scorefleet.tasks.ebm.noise import add_noise
from scorefleet.tasks.mcmc.streams import Random


def denoising_score_matching(
    score: Float[Tensor, "row dim"], noise: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]
) -> Float[Tensor, " row"]:
    """`|x' + beta S - sqrt(1-beta) x|^2` (11.16) of each row.

    Since `x' - sqrt(1-beta) x = sqrt(beta) eps`, it equals `beta |eps + sqrt(beta) S|^2`, which loses no digits at
    small beta.
    """
    beta = torch.sigmoid(logit_beta)
    return beta * (noise + beta.sqrt()[:, None] * score).square().sum(1)


def time_score_matching(time_score: Float[Tensor, " row"], noise: Float[Tensor, "row dim"]) -> Float[Tensor, " row"]:
    """`(dU/d ln sigma - (d - |eps|^2))^2` of each row, `U` the energy of `y = x + sigma eps` with `y` held fixed.

    The conditional density of `y` given `x` has `d ln q/d ln sigma = |eps|^2 - d`, and its mean given `y` is the
    derivative of the log density of `y`: so the minimiser is normalised up to one constant for all noise levels
    together. Guth et al., arXiv 2506.05310. Arguments: `time_score` is `d f/d ln sigma` at fixed `y`.
    """
    return (time_score - (noise.square().sum(1) - noise.shape[1])).square()


class Loss(nn.Module):
    """A mean training loss, a module so that data-parallel training synchronises the gradients of what it wraps.

    Called with rows, noise, levels, conditions, `random` and the known scores of the rows (None where none are known),
    it returns `(matching, time_score)`, each the mean over the rows of its weighted term; training minimises their sum.
    The network is a log density or a score; a score has no time score, so its second term is 0.
    """

    def __init__(self, log_density: nn.Module, time_score_weight: float):
        super().__init__()
        self.log_density = log_density
        self.time_score_weight = time_score_weight
        self.particles = nn.Module()

    def start(
        self,
        noisy: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        known: Float[Tensor, "row dim"] | None = None,
    ) -> None:
        """Take what a loss keeps of some rows: `particles`, buffers that change from step to step, or a constant."""

    def given(self, condition: Float[Tensor, "row condition"] | None) -> LogDensity:
        """The log density, or score, of rows of which `condition` is known."""
        return self.log_density if condition is None else partial(self.log_density, condition=condition)

    def scores(
        self,
        noisy: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None,
    ) -> tuple[Float[Tensor, "row dim"], Float[Tensor, " row"] | None]:
        """The score and the time score, None where there is no density."""
        if isinstance(self.log_density, ScoreOnly):
            return self.given(condition)(noisy, logit_beta), None
        return scores(self.given(condition), noisy, logit_beta)

    def time_term(self, time_score: Float[Tensor, " row"] | None, noise: Float[Tensor, "row dim"]) -> Tensor:
        """`lambda_t E[(dU/d ln sigma - (d - |eps|^2))^2] / (4 d^2)`, 0 without a time score."""
        if time_score is None:
            return noise.new_zeros(())
        return (self.time_score_weight * time_score_matching(time_score, noise) / (4 * noise.shape[1] ** 2)).mean()


class EnergyLoss(Loss):
    """`E[ |x' + beta S - sqrt(1-beta) x|^2 / (beta d) + lambda_t (dU/d ln sigma - (d - |eps|^2))^2 / (4 d^2) ]`: both
    terms are of order one at every noise level and dimension.
    """

    def forward(
        self,
        x: Float[Tensor, "row dim"],
        noise: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None = None,
        random: Random | None = None,
        known: Float[Tensor, "row dim"] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """`(denoising, time_score)`; the first needs neither `random` nor `known`, which other objectives do."""
        dim = x.shape[1]
        score, time_score = self.scores(add_noise(x, noise, logit_beta), logit_beta, condition)
        beta = torch.sigmoid(logit_beta)
        denoising = denoising_score_matching(score, noise, logit_beta) / (beta * dim)
        return denoising.mean(), self.time_term(time_score, noise)


def scores(
    log_density: LogDensity, noisy: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]
) -> tuple[Float[Tensor, "row dim"], Float[Tensor, " row"]]:
    """`(grad_x' f, d f/d ln sigma at fixed y = x'/sqrt(1-beta))`, both differentiable in the weights.

    The density of `y` is `f(sqrt(1-beta) y, t) + (d/2) ln(1-beta)`, and `t = 2 ln sigma`. Its derivative along `t`
    has three parts: that of `f`, that of `sqrt(1-beta)` (which moves `x'` by `-beta x'/2`) and that of the Jacobian
    (`-beta d/2`).
    """
    noisy, level = noisy.detach().requires_grad_(), logit_beta.detach().requires_grad_()
    value = log_density(noisy, level)
    score, level_score = torch.autograd.grad(value.sum(), (noisy, level), create_graph=True)
    beta = torch.sigmoid(logit_beta)
    along = level_score - 0.5 * beta * ((noisy * score).sum(1) + noisy.shape[1])
    return score, 2 * along
