"""How many draws a chain should keep: the error of a mode's weight and of a mean, for equal numbers of gradients.

    python -m benchmarks.draws_per_chain

Annealed chains on the exact density of two Gaussians (.8/.2, six standard deviations apart, d = 16). A chain that
has come down the ladder stays in its mode, so its later draws add nothing about the weight of modes; about the law
within a mode each adds what `thinning` more steps are worth. Printed for each number of draws a chain: gradients a
row, and variance times gradients (less is better) of the two estimates, over those of one draw a chain.
"""

import sys

import torch

from benchmarks.figures import Figure, report
from benchmarks.targets import two_gaussians
from scorefleet.tasks.ebm import noise
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.noise_ladder.annealing import Tuning, tune
from scorefleet.tasks.mcmc.noise_ladder.program import Program, first_segment
from scorefleet.tasks.mcmc.streams import Stream

DIM, NUM_LEVELS, STEPS_PER_LEVEL, THINNING, NUM_CHAINS = 16, 24, 5, 10, 4096
NUM_DRAWS = (1, 4, 16)


def target_at(logit_beta: float) -> Target:
    """The exact noised density and its score."""
    raw = two_gaussians(torch.eye(DIM)[0])
    location = (raw.log_weights.exp()[:, None] * raw.means).sum(0)
    scale = (raw.variance + 0.16 * (raw.means[1] - raw.means[0]).square()).sqrt()
    mixture = raw.standardised(location, scale).noised(logit_beta)

    def target(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = x.double()
        score = (mixture.responsibilities(x)[:, :, None] * (mixture.means - x[:, None]) / mixture.variance).sum(1)
        return mixture.log_density(x).float(), score.float()

    return target


def main() -> int:
    """One block of chains with the most draws; fewer draws are its first ones."""
    levels = tuple(noise.ladder(NUM_LEVELS, noise.logit_beta_of(0.05)).tolist())
    ladder = tune(Stream(0, 0, "tuning"), target_at, levels, DIM, Tuning(512, 16, 0.574))
    most = max(NUM_DRAWS)
    program = Program(0, "draws", ladder, STEPS_PER_LEVEL, NUM_CHAINS, DIM, most, THINNING, most)
    position = first_segment(program, 0, range(most), target_at, "cpu").draws.position
    estimates = {"mode weight": (position[:, :, 0] > 0).float(), "mean across the modes": position[:, :, 1]}
    way_down = NUM_LEVELS * (STEPS_PER_LEVEL + 1)
    costs, figures = {}, []
    for num_draws in NUM_DRAWS:
        gradients = way_down + (num_draws - 1) * THINNING
        figures.append(Figure(f"{num_draws} draws: gradients a row", gradients / num_draws))
        for name, values in estimates.items():
            # Chains are independent, so the variance of their means is that of an estimate, whatever a chain repeats.
            costs[name, num_draws] = float(values[:num_draws].mean(0).var()) * gradients
            figures.append(Figure(f"{num_draws} draws: {name}", costs[name, num_draws] / costs[name, 1]))
    return report("variance times gradients, over that of one draw a chain", figures)


if __name__ == "__main__":
    sys.exit(main())
