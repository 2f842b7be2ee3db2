"""Does replica exchange gain over annealing on energies that were learned? Modes, for equal numbers of gradients.

    python -m benchmarks.learned_modes

Energies are trained on 20,000 rows each of GMM40 (see `benchmarks.gmm40`) and of the mixture .95/.05 at a distance of
10 standard deviations in 16 dimensions. Chains of the product's program then either anneal with all gradients, or
anneal with a quarter of them and exchange with the rest. Weights of modes are held against two laws: that of the data,
and that of the learned density itself at the lowest noise, which is what chains are for: by quadrature in two
dimensions, by importance sampling from the exact noised density in 16.
"""

import math
import sys
from dataclasses import dataclass

import numpy as np
import ot
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.figures import Figure, report
from benchmarks.gmm40 import gmm40, mode_shares
from benchmarks.targets import Mixture, two_gaussians
from scorefleet.tasks.ebm import energies, model, noise, training
from scorefleet.tasks.ebm.dequantise import Grid
from scorefleet.tasks.ebm.objectives import EnergyLoss
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.noise_ladder import annealing, ladder_exchange
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder, TargetAt, Tuning
from scorefleet.tasks.mcmc.noise_ladder.program import Program, first_segment
from scorefleet.tasks.mcmc.streams import Stream

NUM_ROWS, NUM_EXACT = 20_000, 100_000
NUM_STEPS, BATCH_SIZE, WIDTH = 3000, 256, 64
NUM_CHAINS, NUM_RUNS, BUDGETS = 1000, 8, (144, 400)
"""Budgets in evaluations of energy and gradient a chain: that of the default configuration, and what a user may add."""


@dataclass(frozen=True)
class Learned:
    """A trained energy, and the exact noised mixture of its lowest level in the coordinates of the chains."""

    target_at: TargetAt
    exact: Mixture
    lowest: float

    @property
    def dim(self) -> int:
        return self.exact.means.shape[1]


def learn(mixture: Mixture, lowest_noise: float) -> Learned:
    """An energy of the form that `scorefleet run` gives to tables, with its objective, on standardised rows."""
    rows = mixture.sample(NUM_ROWS, torch.Generator().manual_seed(1))
    location, scale = rows.mean(0), rows.std(0)
    network = train(((rows - location) / scale).float())
    lowest = noise.logit_beta_of(lowest_noise)

    def target_at(level: float) -> Target:
        return lambda x: energies.value_and_score(network, x, torch.full((len(x),), level))

    return Learned(target_at, mixture.standardised(location, scale).noised(lowest), lowest)


def train(rows: Float[Tensor, "row dim"]) -> energies.Energy:
    """The moving average of the weights after `NUM_STEPS` steps."""
    torch.manual_seed(0)
    network = model.build(rows.shape[1], "scalar_head", WIDTH, 2)
    network.fit_anchor(rows)
    loss_of, stream, zero = EnergyLoss(network, 1.0), Stream(0, 0, "train"), torch.zeros(rows.shape[1])
    average, optimizer = training.moving_average(network, 0.999), training.optimizer_of(network, 1e-3, 0.0)
    for step in range(NUM_STEPS):
        batch = training.draw_batch(stream, step, rows, Grid(*[zero] * 5), BATCH_SIZE)
        matching, time_score = loss_of(batch.x, batch.noise, batch.logit_beta)
        optimizer.zero_grad()
        (matching + time_score).backward()
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate(step, NUM_STEPS, 1e-3)
        optimizer.step()
        average.update_parameters(network)
    return average.module.requires_grad_(False).eval()


@dataclass(frozen=True)
class Law:
    """The learned density at its lowest level: weights of modes, a point being of its likeliest one, and rows."""

    weights: Float[Tensor, " mode"]
    points: Float[Tensor, "point dim"]
    probability: Float[Tensor, " point"]

    def sample(self, num_rows: int, generator: torch.Generator) -> Float[Tensor, "row dim"]:
        """Independent rows, of the points by their probability."""
        return self.points[torch.multinomial(self.probability, num_rows, replacement=True, generator=generator)]


def law_of(learned: Learned) -> Law:
    """By quadrature in two dimensions, else by importance sampling."""
    if learned.dim == 2:
        ticks = torch.arange(-3.0, 3.0, 0.01)  # half of the noise, and a fifth of the width of a mode
        points, log_density = torch.cartesian_prod(ticks, ticks), 0.0
    else:  # as many points of each mode, so that the light one counts
        exact = learned.exact
        even = Mixture(torch.full_like(exact.log_weights, -math.log(2)), exact.means, exact.variance)
        points = even.sample(NUM_EXACT, torch.Generator().manual_seed(3))
        log_density = even.log_density(points)
    target = learned.target_at(learned.lowest)
    value = torch.cat([target(part.float())[0] for part in points.split(8192)]).double()
    probability, mode = (value - log_density).softmax(0), learned.exact.log_joint(points.double()).argmax(1)
    weights = torch.zeros(len(learned.exact.log_weights), dtype=torch.float64).scatter_add(0, mode, probability)
    return Law(weights, points.double(), probability)


def annealed(learned: Learned, budget: int) -> Program:
    """All evaluations on the way down, on more levels if there are more of them."""
    num_levels = 24 if budget < 400 else 40
    return _program(learned, _ladder(learned, num_levels), budget // num_levels - 1)


def exchanged(learned: Learned, budget: int) -> Program:
    """A third of the evaluations on the way down, the others for exchange."""
    tuned, num_steps = _ladder(learned, 24), budget // (3 * 24) - 1
    ladder = ladder_exchange.choose_levels(Stream(0, 1, "tuning"), learned.target_at, tuned, 256, learned.dim)
    rounds = (budget - 24 * (num_steps + 1)) // (2 * len(ladder.exchanged) - 1)
    return _program(learned, ladder, num_steps, rounds)


def _ladder(learned: Learned, num_levels: int) -> Ladder:
    levels = tuple(noise.ladder(num_levels, learned.lowest).tolist())
    return annealing.tune(Stream(0, 0, "tuning"), learned.target_at, levels, learned.dim, Tuning(256, 16, 0.574))


def _program(learned: Learned, ladder: Ladder, steps: int, rounds: int = 0) -> Program:
    return Program(1, "draws", ladder, steps, NUM_CHAINS, learned.dim, 1, 1, 1, rounds)


def figures_of(learned: Learned, name: str, program: Program, truth: dict[str, Law | Mixture]) -> list[Figure]:
    """Shares of the modes of all blocks together, and the 2-Wasserstein distance of each, averaged."""
    shares, trips, gradients = [], [], 0
    distances: dict[str, list[float]] = {key: [] for key in truth}
    for block in range(NUM_RUNS):
        made = first_segment(program, block, range(1), learned.target_at, "cpu")
        draws, gradients = made.draws.position[0].double(), made.num_gradients
        for key, law in truth.items():
            rows = law.sample(len(draws), torch.Generator().manual_seed(1000 + block))
            distances[key].append(wasserstein(draws, rows))
        shares.append(mode_shares(learned.exact, draws))
        trips.append(float(made.chains.replicas.round_trips.float().mean()))
    pooled, figures = torch.stack(shares).mean(0), [Figure(f"{name}: gradients a chain", gradients)]
    for key, law in truth.items():
        figures += [
            Figure(f"  mode-weight TV against {key}", 0.5 * float((pooled - weights_of(law)).abs().sum())),
            Figure(f"  W2 to rows of {key}", float(np.mean(distances[key]))),
            Figure("    standard error", float(np.std(distances[key], ddof=1)) / math.sqrt(NUM_RUNS)),
        ]
    if program.exchange_rounds:
        figures += [
            Figure("  levels with replicas", len(program.ladder.exchanged)),
            Figure("  rounds", program.exchange_rounds),
            Figure("  round trips a chain", float(np.mean(trips))),
        ]
    return figures


def weights_of(law: Law | Mixture) -> Float[Tensor, " mode"]:
    """The weights of the modes."""
    return law.log_weights.exp() if isinstance(law, Mixture) else law.weights


def by_chance(law: Float[Tensor, " mode"], num_draws: int) -> float:
    """The mean total variation against their own law of independent draws: what no sampler goes below."""
    shares = np.random.default_rng(0).multinomial(num_draws, law.numpy(), size=1000) / num_draws
    return float(0.5 * np.abs(shares - law.numpy()).sum(1).mean())


def wasserstein(one: Float[Tensor, "row dim"], other: Float[Tensor, "row dim"]) -> float:
    """Exact 2-Wasserstein distance of two equally large sets of rows."""
    uniform = np.full(len(one), 1 / len(one))
    return math.sqrt(float(ot.emd2(uniform, uniform, ot.dist(one.numpy(), other.numpy()), numItermax=1_000_000)))


def main() -> int:
    """Both mixtures, both ways to use the gradients."""
    torch.set_num_threads(1)
    unequal = two_gaussians(torch.full((16,), 0.25), 0.95, 10.0)
    for name, mixture, lowest_noise in (("GMM40", gmm40(), 0.02), (".95/.05, d = 16", unequal, 0.05)):
        learned = learn(mixture, lowest_noise)
        law = law_of(learned)
        gap = 0.5 * float((mixture.log_weights.exp() - law.weights).abs().sum())
        figures = [
            Figure("mode-weight TV of learned density and data", gap),
            Figure("TV of as many independent draws, by chance", by_chance(law.weights, NUM_CHAINS * NUM_RUNS)),
            Figure("points that the learned density is worth", float(1 / law.probability.square().sum())),
        ]
        for budget in BUDGETS:
            for way, program_of in (("annealing", annealed), ("annealing and exchange", exchanged)):
                truth = {"the data": learned.exact, "the learned density": law}
                figures += figures_of(learned, way, program_of(learned, budget), truth)
        report(name, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
