"""Chains that must find 40 modes, and two that weigh .95 and .05, with at most 400 gradients a chain.

    python -m benchmarks.gmm40

GMM40 (Midgley et al., arXiv 2208.01893): 40 Gaussians of equal weight and standard deviation softplus(1) = 1.313, at
places uniform in (-40, 40)^2. Of 1,000 chains one draw each is held against 1,000 exact draws: exact 2-Wasserstein
distance, and total variation between the shares of the modes and 1/40. Neither is near 0 for exact draws, so those are
measured beside them; the figures are means over runs, with the standard deviation of one run. The unequal mixture is
.95/.05 at a distance of 10 standard deviations in 16 dimensions. Energies are exact; chains work in standardised
coordinates, as those of a trained model do, and every evaluation of energy and gradient counts.
"""

import math
import sys
from collections.abc import Callable

import numpy as np
import ot
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.figures import Figure, report
from benchmarks.targets import Mixture, two_gaussians
from scorefleet.tasks.ebm.noise import LOGIT_BETA_MAX
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.noise_ladder import annealing, ladder_exchange
from scorefleet.tasks.mcmc.noise_ladder.annealing import TargetAt, Tuning
from scorefleet.tasks.mcmc.noise_ladder.program import Program, first_segment
from scorefleet.tasks.mcmc.streams import Stream

NUM_CHAINS, NUM_RUNS, MAX_GRADIENTS = 1000, 8, 400
LOWEST = 2 * math.log(0.005)  # noise of .005 standard deviations of all rows, a tenth of that of a mode

MAX_W2, MAX_TV = 4.95, 0.09  # of exact draws: mean 4.42 and standard deviation of a run .52; mean .084

Draws = tuple[Float[Tensor, "chain dim"], int]
"""One draw a chain, and the evaluations it took."""


def gmm40() -> Mixture:
    """The mixture as its authors drew it."""
    places = (torch.rand(40, 2, generator=torch.Generator().manual_seed(0)) - 0.5) * 80
    sd = math.log1p(math.e)
    return Mixture(torch.full((40,), -math.log(40)).double(), places.double(), torch.full((2,), sd**2).double())


def standardised(mixture: Mixture) -> tuple[Mixture, Tensor, Tensor]:
    """The mixture in units of its own mean and standard deviation, and those."""
    weights = mixture.log_weights.exp()[:, None]
    location = (weights * mixture.means).sum(0)
    scale = (mixture.variance + (weights * (mixture.means - location).square()).sum(0)).sqrt()
    return mixture.standardised(location, scale), location, scale


def noise_ladder(mixture: Mixture) -> TargetAt:
    """The exact noised densities and their scores."""

    def target_at(logit_beta: float) -> Target:
        noised = mixture.noised(logit_beta)

        def target(x: Tensor) -> tuple[Tensor, Tensor]:
            x = x.double()
            joint = noised.log_joint(x)
            score = (joint.softmax(1) @ noised.means - x) / noised.variance
            return joint.logsumexp(1).float(), score.float()

        return target

    return target_at


def anneal(run: int, target_at: TargetAt, dim: int, num_chains: int, num_levels: int, num_steps: int) -> Draws:
    """Annealed MALA: an evaluation a step and one a level."""
    return first_draws(run, target_at, dim, num_chains, tuned_ladder(target_at, dim, num_levels), num_steps)


def anneal_and_exchange(run: int, target_at: TargetAt, dim: int, num_chains: int) -> Draws:
    """A quarter of the evaluations to anneal, the others to exchange between a few of the levels that were passed."""
    tuned = tuned_ladder(target_at, dim, 24)
    ladder = ladder_exchange.choose_levels(Stream(0, 1, "tuning"), target_at, tuned, 256, dim)
    rounds = (MAX_GRADIENTS - 24 * 4) // (2 * len(ladder.exchanged) - 1)  # a round swaps every other pair
    return first_draws(run, target_at, dim, num_chains, ladder, 3, rounds)


def first_draws(
    run: int, target_at: TargetAt, dim: int, num_chains: int, ladder: annealing.Ladder, num_steps: int, rounds: int = 0
) -> Draws:
    """The first draw of every chain of one block, as a fleet would make it."""
    program = Program(1, "draws", ladder, num_steps, num_chains, dim, 1, 1, 1, rounds)
    made = first_segment(program, run, range(1), target_at, "cpu")
    return made.draws.position[0], made.num_gradients


def tuned_ladder(target_at: TargetAt, dim: int, num_levels: int) -> annealing.Ladder:
    """Step sizes from one block of other chains, once for a whole run."""
    levels = tuple(np.linspace(LOGIT_BETA_MAX, LOWEST, num_levels).tolist())
    return annealing.tune(Stream(0, 0, "tuning"), target_at, levels, dim, Tuning(256, 16, 0.574))


def mode_shares(mixture: Mixture, draws: Tensor) -> Tensor:
    """The share of the draws for which each mode is the likeliest."""
    nearest = mixture.log_joint(draws.double()).argmax(1)
    return torch.bincount(nearest, minlength=len(mixture.log_weights)) / len(draws)


def measure(mixture: Mixture, name: str, sampler: Callable[[int], Draws]) -> list[Figure]:
    """W2 and mode weights of `NUM_RUNS` runs."""
    distances, variations, gradients, weights = [], [], 0, mixture.log_weights.exp()
    pooled = torch.zeros(len(weights))
    for run in range(NUM_RUNS):
        draws, gradients = sampler(run)
        exact = mixture.sample(NUM_CHAINS, torch.Generator().manual_seed(1000 + run)).numpy()
        squared = ot.dist(draws.double().numpy(), exact)
        uniform = np.full(NUM_CHAINS, 1 / NUM_CHAINS)
        distances.append(math.sqrt(float(ot.emd2(uniform, uniform, squared, numItermax=1_000_000))))
        shares = mode_shares(mixture, draws)
        variations.append(0.5 * float((shares - weights).abs().sum()))
        pooled += shares / NUM_RUNS
    figures = [
        Figure(f"{name}: W2", float(np.mean(distances)), highest=MAX_W2),
        Figure("  sd of one run", float(np.std(distances, ddof=1))),
        Figure("  mode-weight TV", float(np.mean(variations)), highest=MAX_TV),
        Figure("  sd of one run", float(np.std(variations, ddof=1))),
        Figure(f"  mode-weight TV of all {NUM_RUNS} runs together", 0.5 * float((pooled - weights).abs().sum())),
    ]
    return [*figures, Figure("  gradients a chain", gradients, highest=MAX_GRADIENTS)] if gradients else figures


def samplers(mixture: Mixture) -> dict[str, Callable[[int], Draws]]:
    """Exact draws, and two ways to use the gradients; in the units of the mixture."""
    inner, location, scale = standardised(mixture)
    target_at, dim = noise_ladder(inner), len(scale)

    def unscaled(draws: Draws) -> Draws:
        return location + scale * draws[0].double(), draws[1]

    return {
        "exact draws": lambda run: (mixture.sample(NUM_CHAINS, torch.Generator().manual_seed(run)), 0),
        "annealed MALA, 20 x 5": lambda run: unscaled(anneal(run, target_at, dim, NUM_CHAINS, 20, 5)),
        "annealed MALA, 40 x 9": lambda run: unscaled(anneal(run, target_at, dim, NUM_CHAINS, 40, 9)),
        "annealing and exchange": lambda run: unscaled(anneal_and_exchange(run, target_at, dim, NUM_CHAINS)),
    }


def unequal() -> list[Figure]:
    """16,384 chains on .95/.05: the weight of independent exact draws would have an error of .0017 (one sd)."""
    mixture, _, _ = standardised(two_gaussians(torch.eye(16)[0], 0.95, 10.0))
    target_at = noise_ladder(mixture)
    annealed, cost = anneal(0, target_at, 16, 16_384, 40, 9)
    exchanged, both = anneal_and_exchange(0, target_at, 16, 16_384)
    return [
        Figure("annealed MALA: weight of the larger mode", float(mode_shares(mixture, annealed)[0]), 0.94, 0.96),
        Figure("  gradients a chain", cost, highest=MAX_GRADIENTS),
        Figure("annealing and exchange: weight", float(mode_shares(mixture, exchanged)[0]), 0.94, 0.96),
        Figure("  gradients a chain", both, highest=MAX_GRADIENTS),
    ]


def main() -> int:
    """Both targets, beside exact draws."""
    torch.set_num_threads(1)
    mixture = gmm40()
    figures = [figure for name, sampler in samplers(mixture).items() for figure in measure(mixture, name, sampler)]
    return report("GMM40", figures) | report(".95/.05, 10 sd apart, d = 16", unequal())


if __name__ == "__main__":
    sys.exit(main())
