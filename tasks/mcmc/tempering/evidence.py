"""log Z of a density by sequential Monte Carlo along its tempering ladder, one population at a time.

`smc` with the economy of `tempered_exchange`: particles keep f and grad f, and to reweight them by `(b'-b) V`, with
`V = f - r`, costs no evaluation. One pilot population finds levels between which the weights keep `KEPT` of their
effective sample size (Zhou, Johansen & Aston, JCGS 25, 2016), and the step size of each; both are frozen, so that the
estimate of Z of every later population is unbiased.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels import mala, metropolis
from scorefleet.tasks.mcmc.kernels.adaptation import StepSize
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target, acceptance_probability
from scorefleet.tasks.mcmc.noise_ladder import smc
from scorefleet.tasks.mcmc.streams import Random, Stream
from scorefleet.tasks.mcmc.targets import from_log_density
from scorefleet.tasks.mcmc.tempering.tempered_exchange import cooled, heated
from scorefleet.tasks.mcmc.tempering.tempering import gaussian, tempered
from scorefleet.tasks.mcmc.warmup.mixture import Mixture
from scorefleet.tasks.mcmc.warmup.modes import Modes

KEPT, NUM_STEPS, PILOT_STEPS, TARGET_ACCEPTANCE = 0.8, 4, 12, 0.574
SMALLEST_GAP = 1e-6


@dataclass(frozen=True)
class Schedule:
    """Inverse temperatures from 0 to 1, the Langevin step size at each, the scale of the reference, and particles of a
    population.
    """

    levels: tuple[float, ...]
    step_sizes: tuple[float, ...]
    scale: float
    dim: int
    num_particles: int

    @property
    def num_evaluations(self) -> int:
        """Evaluations of f and its gradient a particle."""
        return 1 + NUM_STEPS * (len(self.levels) - 1)


class Reference(NamedTuple):
    """A normalised density that covers the target, and independent draws from it."""

    target: Target
    draw: Callable[[Random, int], Tensor]


def reference_of(scale: float, dim: int, modes: Modes | None) -> Reference:
    """`N(0, scale^2 I)`, or where the warm-up found several modes the mixture of all of them, each component `scale`
    times as wide: no particle would find a mode that is far from the others.
    """
    if modes is None or len(modes.share) == 1:
        return Reference(gaussian(scale), lambda random, num: scale * random.normal(num, dim).double())
    known = modes.mixture
    wide = Mixture(known.log_weight.log_softmax(0), known.mean, scale * known.factor)
    return Reference(from_log_density(wide.log_density), wide.draw)


class Estimate(NamedTuple):
    """The log of an unbiased estimate of Z, and values of f on the way that were no numbers."""

    log_z: float
    num_nonfinite: int


def population(stream: Stream, schedule: Schedule, target: Target, modes: Modes | None = None) -> Estimate:
    """One population, from the reference to f: a pure function of (stream, schedule, modes)."""
    reference, draw = reference_of(schedule.scale, schedule.dim, modes)
    state = metropolis.init(draw(stream.at(0, 0), schedule.num_particles), target)
    log_weight = torch.zeros(schedule.num_particles, dtype=torch.float64)
    num_nonfinite = int((state.value.isnan() | state.value.isposinf()).sum())
    target_at = tempered(target, reference)
    for level in range(1, len(schedule.levels)):
        b = schedule.levels[level]
        log_weight = log_weight + (b - schedule.levels[level - 1]) * _excess(state, reference)
        rows, log_weight = smc.resample(stream.at(level, 0).uniform(1), log_weight)
        state = State(*(part[rows] for part in state))
        for k in range(1, NUM_STEPS + 1):
            warm = heated(state, b, reference)
            warm, info = mala.step(stream.at(level, k), warm, target_at(b), schedule.step_sizes[level])
            state = cooled(warm, b, reference, state)
            num_nonfinite += int((~info.is_finite).sum())
    return Estimate(smc.log_mean_exp(log_weight), num_nonfinite)


def plan(
    stream: Stream, target: Target, dim: int, num_particles: int, scale: float, modes: Modes | None = None
) -> Schedule:
    """The levels and step sizes that a pilot population finds on its way."""
    levels, step_sizes = [0.0], [1.0]
    reference, draw = reference_of(scale, dim, modes)
    target_at = tempered(target, reference)
    state = metropolis.init(draw(stream.at(0, 0), num_particles), target)
    while levels[-1] < 1:
        excess, phase = _excess(state, reference), len(levels)
        b = next_level(levels[-1], excess)
        weight = ((b - levels[-1]) * excess).softmax(0)
        grid = (stream.at(phase, 0).uniform(1) + torch.arange(num_particles)) / num_particles
        index = torch.searchsorted(weight.cumsum(0), grid).clamp(max=num_particles - 1)
        state = State(*(part[index] for part in state))
        size = StepSize(dim ** (-1 / 3) / (b + (1 - b) / scale**2), TARGET_ACCEPTANCE)
        for k in range(1, PILOT_STEPS + 1):
            warm, info = mala.step(stream.at(phase, k), heated(state, b, reference), target_at(b), size.step_size)
            state = cooled(warm, b, reference, state)
            size.update(float(acceptance_probability(info).mean()))
        levels.append(b)
        step_sizes.append(size.step_size)
    return Schedule(tuple(levels), tuple(step_sizes), scale, dim, num_particles)


def next_level(b: float, excess: Float[Tensor, " particle"]) -> float:
    """The largest level at which the weights `exp((b'-b) V)` keep `KEPT` of their effective sample size, by bisection;
    of particles inside the support, since no level brings others back.
    """
    inside = excess[excess.isfinite()]
    if not len(inside):
        return 1.0  # nothing to weigh: no population will find a finite density either
    low, high = b, 1.0
    if _kept(inside, 1 - b) >= KEPT:
        return 1.0
    while high - low > SMALLEST_GAP * (high - b):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _kept(inside, middle - b) >= KEPT else (low, middle)
    return high


def _kept(excess: Float[Tensor, " particle"], gap: float) -> float:
    return 1 / (len(excess) * float((gap * excess).softmax(0).square().sum()))


def _excess(state: State, reference: Target) -> Float[Tensor, " particle"]:
    """`V = f - r`, -inf where f is no number: such a particle has no weight."""
    excess = state.value - reference(state.x)[0]
    return torch.where(excess.isnan() | excess.isposinf(), -torch.inf, excess)
