"""log Z by annealed importance sampling with resampling: a population of particles walks from noise down the ladder.

Each level is entered by one reverse-diffusion step, which adds to a particle's log weight what `annealing.descend`
says (Neal, Stat. Comput. 11, 2001; Doucet et al., arXiv 2208.07698); where the weights have become uneven the
population is resampled (Del Moral, Doucet & Jasra, JRSSB 68, 2006), and Langevin steps that leave the level's density
alone follow. With a ladder that was frozen before, the mean weight is an unbiased estimate of Z, whatever the ladder,
the steps and the constants of `f` on the way; populations do not touch each other, so their spread is its error.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from scipy import special
from torch import Tensor

from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.mcmc.kernels.metropolis import State
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder, TargetAt, adjust, descend, start
from scorefleet.tasks.mcmc.streams import Stream

MIN_POPULATIONS = 4


class Population(NamedTuple):
    """Particles at the lowest level: `mean exp(log_weight)` estimates Z, and `sum h(x) exp(log_weight)` over the sum
    of weights estimates `E h`.
    """

    state: State
    log_weight: Float[Tensor, " particle"]


class LogZ(NamedTuple):
    """`log Z` in nats, the ends of its confidence interval, and the standard deviation of one population's log."""

    estimate: float
    low: float
    high: float
    spread: float


def walk(
    stream: Stream,
    target_at: TargetAt,
    ladder: Ladder,
    num_steps: int,
    num_particles: int,
    dim: int,
    device: torch.device | str = "cpu",
) -> Population:
    """A population down the ladder, with `num_steps` adjusted steps at each level but the first. Evaluations a
    particle: `num_steps + 1` a level. The random numbers are those of `annealing.anneal`, and a uniform a level.
    """
    levels = ladder.levels
    state, log_weight = start(stream, target_at(levels[0]), num_particles, dim, ladder.temperature, device)
    log_weight = log_weight.double().cpu()
    for level in range(1, len(levels)):
        high, norm = levels[level - 1], ladder.score_norms[level - 1]
        state, increment = descend(stream.at(level, 0), state, target_at, high, levels[level], norm)
        rows, log_weight = resample(stream.at(level, 0).uniform(1), log_weight + increment.double().cpu())
        state = State(*(part[rows] for part in state))
        state, _ = adjust(stream, level, state, target_at(levels[level]), ladder.move(level), num_steps)
    return Population(state, log_weight)


def resample(
    uniform: Float[Tensor, "1"], log_weight: Float[Tensor, " particle"]
) -> tuple[Int[Tensor, " particle"], Float[Tensor, " particle"]]:
    """Systematic resampling, if the effective sample size is below half of the particles: which are kept, and their log
    weights, of which each is then the log of the mean weight before.
    """
    num_particles = len(log_weight)
    share = log_weight.softmax(0)
    if 1 / share.square().sum() >= num_particles / 2:
        return torch.arange(num_particles), log_weight
    grid = (uniform + torch.arange(num_particles)) / num_particles
    rows = torch.searchsorted(share.cumsum(0), grid).clamp(max=num_particles - 1)
    return rows, torch.full_like(log_weight, log_mean_exp(log_weight))


def log_z_of(population: Population, temperature: float = 1.0) -> float:
    """The log of the unbiased estimate of `int exp(f/T)`: by one more weight, `exp(f/T - f)`, at T other than 1."""
    return log_mean_exp(population.log_weight + population.state.value.double().cpu() * (1 / temperature - 1))


def log_mean_exp(log_weight: Float[Tensor, " particle"]) -> float:
    """`ln mean exp`."""
    return float(log_weight.logsumexp(0)) - math.log(len(log_weight))


def interval(by_population: Sequence[float], confidence: float = 0.95) -> LogZ:
    """The log of the mean of the populations' estimates of Z, and Student's interval for that mean, in the log.

    Their logs should spread by less than about 1: then few populations do not carry the mean alone.
    """
    if len(by_population) < MIN_POPULATIONS:
        raise UsageError(
            f"{len(by_population)} populations do not show the error of log Z; take at least {MIN_POPULATIONS}"
        )
    logs = torch.tensor(by_population, dtype=torch.float64)
    ratio = (logs - logs.max()).exp()
    estimate = log_mean_exp(logs)
    error = float(ratio.std() / ratio.mean()) / math.sqrt(len(ratio))
    reach = float(special.stdtrit(len(ratio) - 1, 0.5 + confidence / 2)) * error
    return LogZ(estimate, estimate - reach, estimate + reach, float(logs.std()))
