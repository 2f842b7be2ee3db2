"""What chains of a score without a density cost in law: the error of each rule, and learned scores beside an energy.

    python -m benchmarks.line_integral

- *Rules*: `E|a - a*|` between the acceptance by a rule and the exact one, over exact draws of a ring of eight modes (sd
  .5, radius 4) and their MALA proposals, with the step size at which .574 are accepted.
- *Learned*: the ring of `benchmarks.score_matching`, whose modes weigh 1 to 8, d = 2. An energy and a score-only
  network of one size learn the same 20,000 rows in the same 1,000 steps by denoising; chains walk down 24 levels. The
  error is the total variation between the modes of 4,000 draws and those of the law.
"""

import math

import torch
from torch import Tensor

from benchmarks.score_matching import LOWEST, NUM_LEVELS, NUM_ROWS, STEPS_PER_LEVEL, learned, ring, total_variation
from benchmarks.targets import Mixture
from scorefleet.tasks.ebm import model, noise
from scorefleet.tasks.ebm.conservative import antisymmetric_share
from scorefleet.tasks.ebm.score_matching import rademacher
from scorefleet.tasks.mcmc.kernels import line_integral, mala, metropolis
from scorefleet.tasks.mcmc.kernels.adaptation import StepSize
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS, KernelName
from scorefleet.tasks.mcmc.kernels.line_integral import GAUSS_LEGENDRE_3, SIMPSON, TRAPEZOID, Rule
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target
from scorefleet.tasks.mcmc.noise_ladder import annealing
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.targets import from_log_density

NUM_PAIRS, NUM_CHAINS = 100_000, 4_000


def main() -> None:
    """Measure both and print the numbers."""
    torch.set_num_threads(1)
    pairs = proposed()
    for name, rule in (("trapezoid", TRAPEZOID), ("Simpson", SIMPSON), ("Gauss-Legendre, 3 nodes", GAUSS_LEGENDRE_3)):
        error, standard_error = acceptance_error(*pairs, rule)
        print(f"{name:<24} {error:.5f} +- {standard_error:.5f}", flush=True)
    law = ring(2)
    rows = law.sample(NUM_ROWS, torch.Generator().manual_seed(2)).float()
    energy = model.Model(learned(rows, "denoising"), {"dim": 2})
    score = model.ScoreModel(learned(rows, "denoising", "score_only"), {"dim": 2})
    print(f"antisymmetric share of the score at the lowest level: {share(score, rows):.4f}")
    for trained, kernel in ((energy, "mala"), *((score, name) for name in KERNELS if not KERNELS[name].needs_value)):
        print_chains(law, trained, kernel)
    print(f"{'exact rows':<30} {total_variation(law, law.sample(NUM_CHAINS, torch.Generator().manual_seed(9))):.4f}")


def even_ring() -> Mixture:
    """Eight modes of equal weight on a ring."""
    angles = 2 * math.pi * torch.arange(8, dtype=torch.float64) / 8
    means = 4 * torch.stack([angles.cos(), angles.sin()], 1)
    return Mixture(torch.full((8,), 1 / 8, dtype=torch.float64).log(), means, torch.full((2,), 0.25).double())


def proposed() -> tuple[Target, State, State, float]:
    """The target, exact draws, their proposals, and the step size at which .574 of such are accepted."""
    law = even_ring()
    target = from_log_density(law.log_density)
    state = metropolis.init(law.sample(NUM_PAIRS, torch.Generator().manual_seed(0)), target)
    tuned = StepSize(0.5, 0.574)
    for k in range(100):
        _, info = mala.step(Stream(0, 0).at(0, k), state, target, tuned.step_size)
        tuned.update(float(metropolis.acceptance_probability(info).mean()))
    y = mala.propose(Stream(1, 0).at(0, 0).normal(NUM_PAIRS, 2).double(), state, tuned.step_size)
    return target, state, metropolis.init(y, target), tuned.step_size


def acceptance_error(
    target: Target, state: State, proposal: State, step_size: float, rule: Rule
) -> tuple[float, float]:
    """Mean of `|a - a*|` and its standard error."""
    integral = line_integral.log_density_difference(target, state, proposal, rule)
    guessed = state._replace(value=torch.zeros_like(integral)), proposal._replace(value=integral)
    ratios = (mala.log_acceptance_ratio(*pair, step_size) for pair in (guessed, (state, proposal)))
    first, second = (ratio.clamp(max=0).exp() for ratio in ratios)
    error = (first - second).abs()
    return float(error.mean()), float(error.std()) / math.sqrt(len(error))


def share(trained: model.ScoreModel, rows: Tensor) -> float:
    """The part of the score that is no gradient, at 2,000 noised rows."""
    x, level = rows[:2000], torch.full((2000,), LOWEST)
    generator = torch.Generator().manual_seed(1)
    noisy = noise.add_noise(x, torch.randn(x.shape, generator=generator), level)
    probes = rademacher(torch.rand(4 * len(x), 2, generator=generator)).reshape(4, len(x), 2)
    return antisymmetric_share(lambda at: trained.score(at, level), noisy, probes)


def print_chains(law: Mixture, trained: model.Trained, kernel: KernelName) -> None:
    """One line: the error of the modes, the evaluations of a chain and the acceptance at the lowest level."""

    def target_at(level: float) -> Target:
        return lambda x: trained.value_and_score(x, torch.full((len(x),), level))

    levels = tuple(noise.ladder(NUM_LEVELS, LOWEST).tolist())
    tuning = annealing.Tuning(128, 3 * STEPS_PER_LEVEL, KERNELS[kernel].target_acceptance, kernel=kernel)
    ladder = annealing.tune(Stream(0, 0, "tune"), target_at, levels, 2, tuning)
    chains = annealing.anneal(Stream(0, 0), target_at, ladder, STEPS_PER_LEVEL, NUM_CHAINS, 2)
    accepted = float(chains.stats[-1].accepted.double().mean()) / STEPS_PER_LEVEL
    error = total_variation(law, chains.state.x.double())
    print(f"{kernel:<30} {error:.4f}  {chains.num_gradients:>5} evaluations, {accepted:.3f} accepted", flush=True)


if __name__ == "__main__":
    main()
