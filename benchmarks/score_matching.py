"""Where score matching without noise fails, and what noise conditioning repairs (section 11.2.3), measured.

    python -m benchmarks.score_matching --figure docs/score_matching.png

- *Separation*: rows of .8 N(0, 1) + .2 N(D, 1), all known but the weight, which is fitted by implicit score matching to
  20,000 rows, and by denoising score matching (11.16) to the same rows noised with sigma = D/2.
- *Dimension*: a ring of eight modes in two coordinates and d - 2 further coordinates of standard deviation .1. One
  energy learns the rows, with .05 of noise, by sliced score matching, another the noised rows by denoising at all
  levels, both in the same number of steps. Chains start at N(0, I): the first take 240 MALA steps on the first energy,
  the second 10 at each of 24 levels. The error is the total variation between the modes of draws and those of the law.
"""

import argparse
import math

import matplotlib
import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from benchmarks.targets import Mixture
from scorefleet.tasks.ebm import energies, model, noise, objectives, training
from scorefleet.tasks.ebm.dequantise import Grid
from scorefleet.tasks.ebm.losses import LOSSES
from scorefleet.tasks.ebm.score_matching import implicit, score_of
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.noise_ladder import annealing
from scorefleet.tasks.mcmc.streams import Stream

SEPARATIONS, NUM_REPEATS, NUM_ROWS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0), 8, 20_000
DIMS, NUM_STEPS, BATCH_SIZE, WIDTH = (2, 4, 8, 16, 32), 1000, 256, 64
LOWEST, NUM_LEVELS, STEPS_PER_LEVEL, NUM_CHAINS = noise.logit_beta_of(0.05), 24, 10, 1000


def main() -> None:
    """Measure both, print the numbers and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", default="docs/score_matching.png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    weights = [(distance, *weight_errors(distance)) for distance in SEPARATIONS]
    print_table("separation D: error (root mean square) of the weight, plain and noised", weights)
    modes = [(dim, *mode_errors(dim)) for dim in DIMS]
    print_table("dimension d: total variation of the modes, plain, noise-conditioned, exact rows", modes)
    draw(weights, modes, options.figure)


def print_table(title: str, rows: list[tuple[float, ...]]) -> None:
    """One line for each row."""
    print(title)
    for row in rows:
        print("  " + "".join(f"{value:>10.4g}" for value in row), flush=True)


def weight_errors(distance: float) -> tuple[float, float]:
    """Root mean square errors of the fitted weight: implicit on the rows, denoising on the noised rows."""
    errors = []
    for seed in range(NUM_REPEATS):
        rows = two_modes(0.8, distance).sample(NUM_ROWS, torch.Generator().manual_seed(seed))
        eps = torch.randn(rows.shape, generator=torch.Generator().manual_seed(1000 + seed), dtype=rows.dtype)
        level = noise.logit_beta_of(distance / 2)
        levels = torch.full((NUM_ROWS,), level, dtype=rows.dtype)
        noisy = noise.add_noise(rows, eps, levels).requires_grad_()

        def plain(w: float, rows: Tensor = rows, distance: float = distance) -> Tensor:
            return implicit(score_of(two_modes(w, distance).log_density), rows)

        def noised(w: float, noisy=noisy, eps=eps, levels=levels, level: float = level) -> Tensor:
            score = score_of(two_modes(w, distance).noised(level).log_density)(noisy)
            return objectives.denoising_score_matching(score, eps, levels)

        errors.append([fitted(loss) - 0.8 for loss in (plain, noised)])
    first, second = np.sqrt(np.square(errors).mean(0))
    return float(first), float(second)


def fitted(loss) -> float:
    """The weight in (.001, .999) of the smallest mean loss."""
    best = minimize_scalar(lambda w: float(loss(w).detach().mean()), bounds=(0.001, 0.999), method="bounded")
    return float(best.x)


def two_modes(weight: float, distance: float) -> Mixture:
    """`weight N(0, 1) + (1 - weight) N(distance, 1)`."""
    weights = torch.tensor([weight, 1 - weight], dtype=torch.float64)
    return Mixture(weights.log(), torch.tensor([[0.0], [distance]]).double(), torch.ones(1, dtype=torch.float64))


def ring(dim: int) -> Mixture:
    """Eight modes of sd .15 and weights 1 to 8 on a ring of radius 1.4; the other coordinates have sd .1."""
    angles = 2 * math.pi * torch.arange(8, dtype=torch.float64) / 8
    means = torch.zeros(8, dim, dtype=torch.float64)
    means[:, 0], means[:, 1] = 1.4 * angles.cos(), 1.4 * angles.sin()
    variance = torch.full((dim,), 0.1**2, dtype=torch.float64)
    variance[:2] = 0.15**2
    weights = torch.arange(1, 9, dtype=torch.float64)
    return Mixture((weights / weights.sum()).log(), means, variance)


def mode_errors(dim: int) -> tuple[float, float, float]:
    """Total variations: plain energy and chains at its one level, noise-conditioned and annealed, exact rows."""
    law = ring(dim)
    rows = law.sample(NUM_ROWS, torch.Generator().manual_seed(dim)).float()
    plain, conditioned = (learned(rows, objective) for objective in ("sliced", "denoising"))
    levels = tuple(noise.ladder(NUM_LEVELS, LOWEST).tolist())
    exact = law.sample(NUM_CHAINS, torch.Generator().manual_seed(999))
    draws = (
        walked(plain, (LOWEST,), NUM_LEVELS * STEPS_PER_LEVEL, dim),
        walked(conditioned, levels, STEPS_PER_LEVEL, dim),
        exact,
    )
    first, second, third = (total_variation(law, x) for x in draws)
    return first, second, third


def learned(
    rows: Tensor, objective: str, energy: energies.NetworkName = "inner_product"
) -> energies.Energy | energies.ScoreOnly:
    """An energy, or a score, after `NUM_STEPS` steps: by denoising at all levels, or by sliced score matching at the
    lowest.
    """
    torch.manual_seed(0)
    network = model.build(rows.shape[1], energy, WIDTH, 2)
    loss_of, optimizer = LOSSES[objective](network, 0.0), training.optimizer_of(network, 1e-3, 0.0)
    stream, nothing = Stream(0, 0, objective), torch.zeros(rows.shape[1])
    for step in range(NUM_STEPS):
        batch = training.draw_batch(stream, step, rows, Grid(*[nothing] * 5), BATCH_SIZE)
        levels = batch.logit_beta if objective == "denoising" else torch.full_like(batch.logit_beta, LOWEST)
        matching, _ = loss_of(batch.x, batch.noise, levels, None, training.part(stream, step, 0, 1))
        optimizer.zero_grad()
        matching.backward()
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate(step, NUM_STEPS, 1e-3)
        optimizer.step()
    return network.requires_grad_(False).eval()


def walked(network: energies.Energy, levels: tuple[float, ...], num_steps: int, dim: int) -> Tensor:
    """Where chains from N(0, I) end after `num_steps` at every level, with step sizes tuned there."""

    def target_at(level: float) -> Target:
        return lambda x: energies.value_and_score(network, x, torch.full((len(x),), level))

    tuning = annealing.Tuning(128, 3 * num_steps, 0.574)
    ladder = annealing.tune(Stream(0, 0, "tune"), target_at, levels, dim, tuning)
    chains = annealing.anneal(Stream(0, 0), target_at, ladder, num_steps, NUM_CHAINS, dim)
    return chains.state.x.double()


def total_variation(law: Mixture, draws: Tensor) -> float:
    """Half the summed differences of the shares of the modes, a draw more than 5 sd from all of them in none."""
    far = ((draws[:, None, :2] - law.means[:, :2]).square() / law.variance[:2]).sum(2).amin(1) > 25
    shares = (law.responsibilities(draws) * ~far[:, None]).sum(0) / len(draws)
    return float(0.5 * ((shares - law.log_weights.exp()).abs().sum() + far.double().mean()))


def draw(weights: list[tuple[float, ...]], modes: list[tuple[float, ...]], path: str) -> None:
    """Both measurements beside each other."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    distance, plain, noised = zip(*weights, strict=True)
    left.semilogy(distance, plain, "o-", label="plain: implicit score matching")
    left.semilogy(distance, noised, "s-", label="rows noised with sigma = D/2: (11.16)")
    left.axhline(math.sqrt(0.16 / NUM_ROWS), color="grey", ls=":", label="counting the rows of each mode")
    left.set(xlabel="distance D of the modes (sd)", ylabel="error of the fitted weight", title="Separation")
    dim, first, second, third = zip(*modes, strict=True)
    right.plot(dim, first, "o-", label="plain energy, chains at its one level")
    right.plot(dim, second, "s-", label="noise-conditioned energy, annealed")
    right.plot(dim, third, "k:", label="exact rows")
    right.set_xscale("log", base=2)
    right.set(xlabel="dimension d", ylabel="total variation of the modes", title="Dimension", ylim=(0, 1))
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
