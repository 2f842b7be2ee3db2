"""Annealed sampling: chains walk down the noise ladder from N(0, I), corrected at every level by steps of a kernel.

Between two levels a chain takes one *descent*, the reverse of the noising kernel with the learned score in it (Ho
et al., arXiv 2006.11239), which is an unadjusted Langevin step whose size is the gap of the two levels. Because
both the descent and the noising kernel are Gaussian, the chain's importance weight against the unnormalised `exp f`
of the lowest level stays known exactly (Neal 2001; Doucet et al., arXiv 2208.07698): its mean is the ratio of the
normalisers, and its effective sample size says how well the ladder followed the densities.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.adaptation import StepSize
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS, KernelName, Move
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target
from scorefleet.tasks.mcmc.streams import Random, Stream

TargetAt = Callable[[float], Target]
"""Noise level `logit beta` -> the density at that level."""

LENGTH = 1.5
"""Mean length of a Hamiltonian trajectory, in standard deviations of the narrow directions of a level."""


def heat(target_at: TargetAt, temperature: float) -> TargetAt:
    """The density of every level to the power `1/temperature`: `f/T`, `grad f/T`."""

    def at(level: float) -> Target:
        cold = target_at(level)

        def target(x: Tensor) -> tuple[Tensor, Tensor]:
            value, score = cold(x)
            return value / temperature, score / temperature

        return target

    return at


class LevelStats(NamedTuple):
    """What the steps of one level did: steps taken, summed probabilities `min(1, r)` that a Metropolis test takes them,
    and evaluations of energy and gradient.
    """

    accepted: Int[Tensor, " chain"]
    probability: float
    num_nonfinite: int
    num_gradients: int


@dataclass(frozen=True)
class Ladder:
    """Noise levels `logit beta` from the highest to the lowest, with what was tuned at each and is now frozen."""

    levels: tuple[float, ...]
    step_sizes: tuple[float, ...]
    score_norms: tuple[float, ...]
    """`E|S|^2/d` at each level, which sets the variance of the descent from it."""
    temperature: float = 1.0
    """Chains start at `N(0, T I)`, the law of heated densities under much noise."""
    kernel: KernelName = "mala"
    """What the step sizes are of."""
    exchanged: tuple[int, ...] = ()
    """The levels, the lowest last, between which replicas may swap once they have come down."""

    def move(self, level: int) -> Move:
        """How chains move at a level."""
        return Move(self.kernel, self.step_sizes[level], trajectory_length(self.score_norms[level]))


def trajectory_length(score_norm: float) -> float:
    """`1.5/sqrt(E|S|^2/d)`: of a Gaussian, the score norm is the mean of `1/variance`, so narrow directions count."""
    return LENGTH / math.sqrt(score_norm) if 0 < score_norm < math.inf else LENGTH  # NaN: the density is broken there


def log_normal(x: Tensor, mean: Tensor, variance: float) -> Float[Tensor, " chain"]:
    """Log density of N(mean, variance I) at each row, in nats."""
    return -0.5 * ((x - mean).square().sum(1) / variance + x.shape[1] * math.log(2 * math.pi * variance))


def descend(
    random: Random, state: State, target_at: TargetAt, high: float, low: float, score_norm: float
) -> tuple[State, Float[Tensor, " chain"]]:
    """One reverse-diffusion step from level `high` to level `low` (`logit beta`), and the increment of the log weight.

    With `a = (1-beta_high)/(1-beta_low)`, noising is `N(sqrt(a) x, 1-a)`; its reverse is drawn from `N((x' + (1-a)
    S(x'))/sqrt(a), (1-a)(1 - (1-a) E|S|^2/d)/a)`, the Gaussian nearest to the true one in Kullback-Leibler
    divergence (Bao et al., arXiv 2201.06503).
    """
    beta_high, beta_low = (1 / (1 + math.exp(-t)) for t in (high, low))
    gap = (beta_high - beta_low) / (1 - beta_low)
    scale = math.sqrt(1 - gap)
    mean = (state.x + gap * state.score) / scale
    # Whatever the score, a point that is known exactly keeps this much noise, and N(0, I) has no more than the gap.
    variance = min(max(gap / (1 - gap) * (1 - gap * score_norm), gap * beta_low / beta_high), gap)
    x = mean + math.sqrt(variance) * random.normal(*mean.shape).to(mean)
    new = metropolis.init(x, target_at(low))
    forward = new.value + log_normal(state.x, scale * x, gap)
    return new, forward - state.value - log_normal(x, mean, variance)


def adjust(
    stream: Stream, phase: int, state: State, target: Target, move: Move, num_steps: int, first: int = 1
) -> tuple[State, LevelStats]:
    """`num_steps` steps of a kernel at one level, with a frozen step size; in the phase they start at index `first`."""
    accepted, probability = torch.zeros(len(state.x), dtype=torch.int32), 0.0
    num_nonfinite, num_gradients = 0, 0
    for k in range(num_steps):
        state, info, evaluations = move(stream, phase, first + k, state, target)
        accepted += info.is_accepted.cpu()
        probability += float(metropolis.acceptance_probability(info).sum())
        num_nonfinite += int((~info.is_finite).sum())
        num_gradients += evaluations
    return state, LevelStats(accepted, probability, num_nonfinite, num_gradients)


class Annealed(NamedTuple):
    """Chains at the lowest level, their log weights, what happened at each level, and where they were at its end."""

    state: State
    log_weight: Float[Tensor, " chain"]
    stats: list[LevelStats]
    path: list[State]

    @property
    def num_gradients(self) -> int:
        """Evaluations of energy and gradient a chain: one on arrival at each level, and those of the steps."""
        return len(self.stats) + sum(level.num_gradients for level in self.stats)


def anneal(
    stream: Stream,
    target_at: TargetAt,
    ladder: Ladder,
    num_steps: int,
    num_chains: int,
    dim: int,
    device: torch.device | str = "cpu",
) -> Annealed:
    """Start `num_chains` at N(0, T I) and walk down the ladder, with `num_steps` steps of its kernel at each level.

    Phase `l` of the stream belongs to level `l`: step 0 to the move into the level, the others to the kernel's steps.
    """
    levels = ladder.levels
    state, log_weight = start(stream, target_at(levels[0]), num_chains, dim, ladder.temperature, device)
    stats, path = [], []
    for level in range(len(levels)):
        if level:
            high, norm = levels[level - 1], ladder.score_norms[level - 1]
            state, increment = descend(stream.at(level, 0), state, target_at, high, levels[level], norm)
            log_weight = log_weight + increment
        state, level_stats = adjust(stream, level, state, target_at(levels[level]), ladder.move(level), num_steps)
        stats.append(level_stats)
        path.append(state)
    return Annealed(state, log_weight, stats, path)


def start(
    stream: Stream, target: Target, num_chains: int, dim: int, temperature: float, device: torch.device | str
) -> tuple[State, Float[Tensor, " chain"]]:
    """Chains at N(0, T I) and their log weights against the density of the highest level."""
    x = math.sqrt(temperature) * stream.at(0, 0).normal(num_chains, dim).to(device)
    state = metropolis.init(x, target)
    return state, state.value - log_normal(x, torch.zeros_like(x), temperature)


@dataclass(frozen=True)
class Tuning:
    """How step sizes are found: one block of `num_chains` walks down with `num_steps` adapted steps a level."""

    num_chains: int
    num_steps: int
    target_acceptance: float
    temperature: float = 1.0
    kernel: KernelName = "mala"
    is_exchanged: bool = False
    """Whether levels for replica exchange are chosen as well."""


def tune(
    stream: Stream,
    target_at: TargetAt,
    levels: tuple[float, ...],
    dim: int,
    tuning: Tuning,
    device: torch.device | str = "cpu",
) -> Ladder:
    """The ladder with one step size a level: each starts from the last level's, scaled by the noise.

    The first is `beta d^(-1/3)` for MALA (Roberts & Rosenthal 1998), and what `Kernel.exponent` says for others.
    """
    kernel = KERNELS[tuning.kernel]
    state, _ = start(stream, target_at(levels[0]), tuning.num_chains, dim, tuning.temperature, device)
    step_sizes: list[float] = []
    score_norms: list[float] = []
    ratio = dim**kernel.exponent
    for level, logit_beta in enumerate(levels):
        unit = (1 + math.exp(-logit_beta)) ** (-kernel.power / 2)
        if level:
            high, norm = levels[level - 1], score_norms[-1]
            state, _ = descend(stream.at(level, 0), state, target_at, high, logit_beta, norm)
        adaptive = StepSize(ratio * unit, tuning.target_acceptance)
        target = target_at(logit_beta)
        for k in range(tuning.num_steps):
            length = trajectory_length(float(state.score.square().mean()))
            state, info, _ = kernel.transition(stream, level, k + 1, state, target, adaptive.step_size, length)
            adaptive.update(float(metropolis.acceptance_probability(info).mean()))
        step_sizes.append(adaptive.step_size)
        score_norms.append(float(state.score.square().mean()))
        ratio = adaptive.step_size / unit
    return Ladder(levels, tuple(step_sizes), tuple(score_norms), tuning.temperature, tuning.kernel)
