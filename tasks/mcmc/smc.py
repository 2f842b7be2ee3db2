"""log Z by annealed importance sampling with resampling: particles walk from a Gaussian along a ladder of densities.

At each level a particle's weight gains `f_next(x) - f_last(x)` (Neal, Stat. Comput. 11, 2001); where the weights of a
population have become uneven it is resampled (Del Moral, Doucet & Jasra, JRSSB 68, 2006), and Langevin steps that leave
the level's density alone follow. With step sizes that were frozen before, the estimate of Z is unbiased, whatever the
ladder and the steps; populations do not touch each other, so their spread is its error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from tasks.errors import UsageError
from tasks.mcmc import mala, metropolis
from tasks.mcmc.adaptation import StepSize
from tasks.mcmc.annealing import TargetAt, adjust, log_normal
from tasks.mcmc.kernels import Move
from tasks.mcmc.metropolis import State, Target
from tasks.mcmc.streams import Stream


class LogZ(NamedTuple):
    """`log Z` in nats and its confidence interval; `by_population` are the logs of the unbiased estimates whose mean
    the estimate is.
    """

    estimate: float
    low: float
    high: float
    by_population: Float[Tensor, " population"]


@dataclass(frozen=True)
class Populations:
    """How many populations walk, independently, of how many particles; at least 4 populations make an interval."""

    num_populations: int
    num_particles: int
    num_steps: int

    def __post_init__(self) -> None:
        if self.num_populations < 4:
            raise UsageError(f"{self.num_populations} populations do not show the error of log Z; take at least 4")


def log_z(
    stream: Stream,
    target_at: TargetAt,
    levels: Sequence[float],
    step_sizes: Sequence[float],
    dim: int,
    populations: Populations,
    scale: float = 1.0,
    confidence: float = 0.95,
) -> LogZ:
    """log Z of the last level, from `N(0, scale^2 I)`, which the first should resemble. Evaluations a particle:
    `num_steps + 1` a level.
    """
    shape = populations.num_populations, populations.num_particles
    x = scale * stream.at(0, 0).normal(shape[0] * shape[1], dim)
    state = metropolis.init(x, target_at(levels[0]))
    log_weight = (state.value - log_normal(x, torch.zeros_like(x), scale**2)).double().reshape(shape)
    total = torch.zeros(shape[0], dtype=torch.float64)
    for level in range(1, len(levels)):
        state, log_weight = reweight(state, log_weight, target_at(levels[level]))
        # The position of a population on the systematic grid; the numbers of the steps are those of `adjust`.
        index, log_weight, gained = resample(stream.at(level, 0).uniform(shape[0]), log_weight)
        state, total = State(*(part[index] for part in state)), total + gained
        move = Move("mala", step_sizes[level])
        state, _ = adjust(stream, level, state, target_at(levels[level]), move, populations.num_steps)
    return interval(total + log_weight.logsumexp(1) - math.log(shape[1]), confidence)


def reweight(
    state: State, log_weight: Float[Tensor, "population particle"], target: Target
) -> tuple[State, Float[Tensor, "population particle"]]:
    """The particles at the next level, as they stand, with `f_next(x) - f_last(x)` added to their log weights."""
    new = metropolis.init(state.x, target)
    increment = (new.value.double() - state.value.double()).reshape(log_weight.shape)
    return new, log_weight + increment


def resample(
    uniform: Float[Tensor, " population"], log_weight: Float[Tensor, "population particle"]
) -> tuple[Int[Tensor, " row"], Float[Tensor, "population particle"], Float[Tensor, " population"]]:
    """Systematic resampling of the populations whose effective sample size is below half of their number: the rows to
    keep, the log weights after it, and the log of the mean weight that left them (0 where nothing was resampled).
    """
    num_populations, num_particles = log_weight.shape
    weight = log_weight.softmax(1)
    is_uneven = weight.square().sum(1).reciprocal() < num_particles / 2
    grid = (uniform[:, None] + torch.arange(num_particles)) / num_particles
    chosen = torch.searchsorted(weight.cumsum(1), grid).clamp(max=num_particles - 1)
    chosen = torch.where(is_uneven[:, None], chosen, torch.arange(num_particles))
    rows = chosen + num_particles * torch.arange(num_populations)[:, None]
    gained = torch.where(is_uneven, log_weight.logsumexp(1) - math.log(num_particles), 0.0)
    return rows.reshape(-1), torch.where(is_uneven[:, None], 0.0, log_weight), gained


def interval(by_population: Float[Tensor, " population"], confidence: float) -> LogZ:
    """The log of the mean of the populations' estimates of Z, and Student's interval for that mean, in the log."""
    ratio = (by_population - by_population.max()).exp()
    estimate = float(by_population.max() + ratio.mean().log())
    error = float(ratio.std() / ratio.mean()) / math.sqrt(len(ratio))
    reach = float(stats.t.ppf(0.5 + confidence / 2, len(ratio) - 1)) * error
    return LogZ(estimate, estimate - reach, estimate + reach, by_population)


def tune(
    stream: Stream,
    target_at: TargetAt,
    levels: Sequence[float],
    step_sizes: Sequence[float],
    dim: int,
    num_particles: int,
    num_steps: int,
    scale: float = 1.0,
    target_acceptance: float = 0.574,
) -> tuple[float, ...]:
    """Step sizes to freeze, from one population that walks down with adapted steps; `step_sizes` are first guesses."""
    state = metropolis.init(scale * stream.at(0, 0).normal(num_particles, dim), target_at(levels[0]))
    log_weight, tuned = torch.zeros(1, num_particles, dtype=torch.float64), list(step_sizes)
    for level in range(1, len(levels)):
        target = target_at(levels[level])
        state, log_weight = reweight(state, log_weight, target)
        index, log_weight, _ = resample(stream.at(level, 0).uniform(1), log_weight)
        state, size = State(*(part[index] for part in state)), StepSize(step_sizes[level], target_acceptance)
        for k in range(num_steps):
            state, info = mala.step(stream.at(level, k + 1), state, target, size.step_size)
            size.update(float(metropolis.acceptance_probability(info).mean()))
        tuned[level] = size.step_size
    return tuple(tuned)
