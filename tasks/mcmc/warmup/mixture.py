"""A mixture of Gaussians fitted to draws by expectation maximisation (Dempster, Laird & Rubin, JRSS B 39, 1977), with
conjugate priors, so that no component collapses (Fraley & Raftery, J. Classification 24, 2007).
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening
from scorefleet.tasks.mcmc.streams import Random

MOST_COMPONENTS, MOST_ROWS, NUM_PASSES, WORTH_IT = 16, 6000, 50, 0.01
TAILS, TAIL_WIDTH = 0.1, 1.5


class Mixture(NamedTuple):
    """`q(x) = sum_k exp(log_weight_k) N(x; mean_k, factor_k factor_k')` with lower triangular factors."""

    log_weight: Float[Tensor, " component"]
    mean: Float[Tensor, "component dim"]
    factor: Float[Tensor, "component dim dim"]

    def log_density(self, x: Float[Tensor, "row dim"]) -> Float[Tensor, " row"]:
        """`ln q(x)` in nats."""
        return self.log_joint(x).logsumexp(0)

    def log_joint(self, x: Float[Tensor, "row dim"]) -> Float[Tensor, "component row"]:
        """`ln` of weight times density of each component."""
        away = (x - self.mean[:, None]).mT
        white = torch.linalg.solve_triangular(self.factor, away, upper=False)
        log_det = self.factor.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = self.log_weight - log_det - 0.5 * x.shape[1] * math.log(2 * math.pi)
        return constant[:, None] - 0.5 * white.square().sum(1)

    def draw(self, random: Random, num_rows: int) -> Float[Tensor, "row dim"]:
        """Independent draws; uses the `normal` and the second row of `uniform(2, num_rows)` of the step."""
        chosen = random.uniform(2, num_rows)[1].to(self.mean.device)
        edges = self.log_weight.exp().cumsum(0)
        component = torch.searchsorted(edges, (chosen * edges[-1]).to(edges)).clamp(max=len(edges) - 1)
        noise = random.normal(num_rows, self.mean.shape[1]).to(self.mean)
        return self.mean[component] + (self.factor[component] @ noise[:, :, None])[:, :, 0]

    def pushed(self, whitening: Whitening) -> "Mixture":
        """The mixture of `x = mean + L z`, z from this one; L is no diagonal."""
        factor = torch.linalg.qr((whitening.factor @ self.factor).mT)[1].mT  # F F' would square its condition
        factor = factor * factor.diagonal(dim1=1, dim2=2).sign()[:, None]
        return Mixture(self.log_weight, whitening.from_white(self.mean), factor)


def fit(random: Random, x: Float[Tensor, "draw chain dim"]) -> Mixture:
    """Of rows that are nearly white: N(mean, I), or 1, 2, 4, ... components, as many as raise the density of half of
    the chains under a fit to the others. N(mean, I) is what the coordinates say, which scores helped to find, and in
    many dimensions better than a covariance of draws alone. Fits whose covariances are not positive definite, of draws
    in a plane or too far apart for their squares, are passed over.
    """
    thin = -(-x.shape[0] * x.shape[1] // MOST_ROWS)
    x = x[::thin]
    seen, held_out, rows = x[:, ::2].flatten(0, 1), x[:, 1::2].flatten(0, 1), x.flatten(0, 1)
    best, score = white(rows), white(seen).log_density(held_out).mean()
    num_components = 1
    while num_components <= MOST_COMPONENTS:
        new = maximise(random, seen, num_components).log_density(held_out).mean()
        fitted = maximise(random, rows, num_components) if new > score + WORTH_IT else None
        if fitted and is_usable(fitted):
            best, score = fitted, new
        elif num_components > 1:
            break
        num_components *= 2
    return best


def is_usable(mixture: Mixture) -> bool:
    """Whether it has a density, and draws: all numbers are finite, and no component is flat."""
    widths = mixture.factor.diagonal(dim1=1, dim2=2)
    return all(bool(part.isfinite().all()) for part in mixture) and bool((widths > 0).all())


def white(x: Float[Tensor, "row dim"]) -> Mixture:
    """N(mean, I)."""
    return Mixture(x.new_zeros(1), x.mean(0)[None], torch.eye(x.shape[1]).to(x)[None])


def maximise(random: Random, x: Float[Tensor, "row dim"], num_components: int) -> Mixture:
    """EM from the cells of rows that are chosen far from each other."""
    log_joint = -torch.cdist(seeds(random, x, num_components), x)
    responsibility = torch.nn.functional.one_hot(log_joint.argmax(0), num_components).T.to(x)
    fitted = _best(responsibility, x)
    for _ in range(NUM_PASSES if num_components > 1 else 0):
        fitted = _best(fitted.log_joint(x).softmax(0), x)
    return fitted


def seeds(random: Random, x: Float[Tensor, "row dim"], num_seeds: int) -> Float[Tensor, "seed dim"]:
    """Rows drawn with probabilities proportional to the squared distance to the nearest before (k-means++, Arthur &
    Vassilvitskii, 2007)."""
    uniform = random.uniform(num_seeds).tolist()
    chosen = x[int(uniform[0] * len(x))][None]
    for u in uniform[1:]:
        distance = torch.cdist(chosen, x).amin(0).square().cumsum(0)
        index = int(torch.searchsorted(distance, u * distance[-1]).clamp(max=len(x) - 1))
        chosen = torch.cat([chosen, x[index][None]])
    return chosen


def _best(responsibility: Float[Tensor, "component row"], x: Float[Tensor, "row dim"]) -> Mixture:
    """The maximum, given to which component each row belongs; the prior of a covariance is worth d + 2 rows of the
    covariance of all, shrunk by `K^(-2/d)`.
    """
    (num_components, num_rows), dim = responsibility.shape, x.shape[1]
    num = responsibility.sum(1)
    mean = (responsibility @ x + x.mean(0) * 1e-3) / (num[:, None] + 1e-3)
    away = x - mean[:, None]
    scatter = (away * responsibility[:, :, None]).mT @ away
    prior = torch.cov(x.T).reshape(dim, dim) * num_components ** (-2 / dim)
    strength = dim + 2 if num_components > 1 else 0
    covariance = (scatter + strength * prior) / (num + strength)[:, None, None]
    return Mixture(((num + 1) / (num_rows + num_components)).log(), mean, factor_of(covariance))


def factor_of(covariance: Float[Tensor, "*component dim dim"]) -> Float[Tensor, "*component dim dim"]:
    """Cholesky's factor, NaN where a covariance is not positive definite."""
    factor, failed = torch.linalg.cholesky_ex(covariance)
    return torch.where((failed == 0)[..., None, None], factor, torch.nan)


def with_tails(mixture: Mixture, share: float, width: float) -> Mixture:
    """With one more component, of the mean of the whole and `width` times its deviation, so that few points have a
    density that is much too low; without one where there is no such covariance.
    """
    weight = mixture.log_weight.exp()
    mean = weight @ mixture.mean
    away = mixture.mean - mean
    covariance = (weight[:, None, None] * (mixture.factor @ mixture.factor.mT)).sum(0) + (weight * away.T) @ away
    wide = width * factor_of(covariance)
    log_weight = torch.cat([mixture.log_weight + math.log1p(-share), weight.new_tensor([math.log(share)])])
    wider = Mixture(log_weight, torch.cat([mixture.mean, mean[None]]), torch.cat([mixture.factor, wide[None]]))
    return wider if is_usable(wider) else mixture
