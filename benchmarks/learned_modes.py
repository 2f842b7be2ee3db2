"""Does replica exchange gain over annealing on energies that were learned? Modes, for equal numbers of gradients.

    python -m benchmarks.learned_modes

Energies are trained by the pipeline, with all its defaults, on 20,000 rows each of GMM40 (see `benchmarks.gmm40`) and
of the mixture .95/.05 at a distance of 10 standard deviations in 16 dimensions. Chains of the product's program then
either anneal with all gradients, or anneal with a quarter of 400 of them and exchange with the rest. Weights of modes
are held against two laws: that of the data, and that of the learned density itself at the lowest noise, which is what
chains are for: by quadrature in two dimensions, by importance sampling from the exact noised density in 16.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ot
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.figures import Figure, report
from benchmarks.gmm40 import gmm40, mode_shares
from benchmarks.targets import Mixture, two_gaussians
from pipelines.cli import main as scorefleet
from tasks.ebm import model as models
from tasks.ebm import noise
from tasks.mcmc import annealing, ladder_exchange
from tasks.mcmc.annealing import Ladder, TargetAt, Tuning
from tasks.mcmc.metropolis import Target
from tasks.mcmc.program import Program, first_segment
from tasks.mcmc.streams import Stream
from tasks.prepare import read_schema

NUM_ROWS, NUM_EXACT = 20_000, 200_000
BUDGETS = (400, 1600)
"""Evaluations of energy and gradient a chain."""


@dataclass(frozen=True)
class Learned:
    """A trained energy, and the exact noised mixture of its lowest level in the coordinates of the chains."""

    name: str
    target_at: TargetAt
    exact: Mixture
    lowest: float

    @property
    def dim(self) -> int:
        return self.exact.means.shape[1]


def learn(name: str, mixture: Mixture, lowest_noise: float, root: str) -> Learned:
    """Train by the pipeline on rows of a mixture, and read back what it left."""
    rows = mixture.sample(NUM_ROWS, torch.Generator().manual_seed(1))
    data = Path(root) / f"{name}.parquet"
    data.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({f"x{k}": rows[:, k].numpy() for k in range(rows.shape[1])}), data)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        scorefleet(["run", "--data", str(data), "--name", name, "--root", root, "--summary", file.name])
        summary = json.loads(Path(file.name).read_text())
    model, schema = models.load(Path(summary["model"])), read_schema(Path(summary["data"]))
    location = torch.tensor([column.location[0] for column in schema.columns], dtype=torch.float64)
    scale = torch.tensor([column.scale for column in schema.columns], dtype=torch.float64)
    lowest = noise.logit_beta_of(lowest_noise)

    def target_at(level: float) -> Target:
        return lambda x: model.value_and_score(x, torch.full((len(x),), level))

    return Learned(name, target_at, mixture.standardised(location, scale).noised(lowest), lowest)


def learned_weights(learned: Learned) -> Float[Tensor, " mode"]:
    """The shares of the modes under the learned density at the lowest level, a point being of its likeliest mode."""
    if learned.dim == 2:
        ticks = torch.arange(-3.0, 3.0, 0.008)
        x = torch.cartesian_prod(ticks, ticks)
        log_weight = torch.cat([learned.target_at(learned.lowest)(part)[0] for part in x.split(8192)])
    else:  # as many points of each mode, so that the light one counts
        even = Mixture(torch.full_like(learned.exact.log_weights, -math.log(2)), *_shape(learned.exact))
        points = even.sample(NUM_EXACT, torch.Generator().manual_seed(3))
        x = points.float()
        value = torch.cat([learned.target_at(learned.lowest)(part)[0] for part in x.split(8192)])
        log_weight = value - even.log_density(points).float()
    weight, mode = log_weight.double().softmax(0), learned.exact.log_joint(x.double()).argmax(1)
    return torch.zeros(len(learned.exact.log_weights), dtype=torch.float64).scatter_add(0, mode, weight)


def _shape(mixture: Mixture) -> tuple[Tensor, Tensor]:
    return mixture.means, mixture.variance


def annealed(learned: Learned, budget: int) -> Program:
    """All evaluations on the way down: ten at each level."""
    return _program(learned, _ladder(learned, budget // 10), 9)


def exchanged(learned: Learned, budget: int) -> Program:
    """A quarter of 400 evaluations on the way down, the others for exchange."""
    ladder = ladder_exchange.choose_levels(
        Stream(0, 1, "tuning"), learned.target_at, _ladder(learned, 24), 256, learned.dim
    )
    replicas = len(ladder.exchanged)
    return _program(learned, ladder, 3, int((budget - 24 * 4) / (2 * replicas - 1)))


def _ladder(learned: Learned, num_levels: int) -> Ladder:
    levels = tuple(noise.ladder(num_levels, learned.lowest).tolist())
    return annealing.tune(Stream(0, 0, "tuning"), learned.target_at, levels, learned.dim, Tuning(256, 16, 0.574))


def _program(learned: Learned, ladder: Ladder, steps: int, rounds: int = 0) -> Program:
    return Program(1, "draws", ladder, steps, 1000, learned.dim, 1, 1, 1, rounds)


def figures_of(learned: Learned, name: str, program: Program, num_runs: int, truth: dict[str, Tensor]) -> list[Figure]:
    """Shares of the modes of all blocks together, and the 2-Wasserstein distance of each, averaged."""
    shares, distances, trips, gradients = [], [], [], 0
    for block in range(num_runs):
        made = first_segment(program, block, learned.target_at, "cpu")
        draws, gradients = made.draws.position[0], made.num_gradients
        exact = learned.exact.sample(len(draws), torch.Generator().manual_seed(1000 + block))
        distances.append(wasserstein(draws.double(), exact))
        shares.append(mode_shares(learned.exact, draws))
        trips.append(float(made.chains.replicas.round_trips.float().mean()))
    pooled = torch.stack(shares).mean(0)
    figures = [Figure(f"{name}: gradients a chain", gradients)]
    figures += [
        Figure(f"  mode-weight TV against {key}", 0.5 * float((pooled - law).abs().sum())) for key, law in truth.items()
    ]
    figures += [Figure("  W2 to rows, mean of runs", float(np.mean(distances)))]
    figures += [Figure("    standard error", float(np.std(distances, ddof=1)) / math.sqrt(num_runs))]
    if program.exchange_rounds:
        figures += [
            Figure("  levels with replicas", len(program.ladder.exchanged)),
            Figure("  rounds", program.exchange_rounds),
            Figure("  round trips a chain", float(np.mean(trips))),
        ]
    return figures


def wasserstein(one: Float[Tensor, "row dim"], other: Float[Tensor, "row dim"]) -> float:
    """Exact 2-Wasserstein distance of two equally large sets of rows."""
    uniform = np.full(len(one), 1 / len(one))
    return math.sqrt(float(ot.emd2(uniform, uniform, ot.dist(one.numpy(), other.numpy()), numItermax=1_000_000)))


def main() -> int:
    """Both mixtures, all ways to use the gradients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="./runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways: dict[str, Callable[[Learned, int], Program]] = {"annealing": annealed, "annealing and exchange": exchanged}
    problems = [
        ("gmm40", gmm40(), 0.02, 8),
        ("unequal-16", two_gaussians(torch.full((16,), 0.25), 0.95, 10.0), 0.05, 16),
    ]
    for name, mixture, lowest_noise, num_runs in problems:
        learned = learn(name, mixture, lowest_noise, options.root)
        truth = {"the data": mixture.log_weights.exp(), "the learned density": learned_weights(learned)}
        gap = 0.5 * float((truth["the data"] - truth["the learned density"]).abs().sum())
        figures = [Figure("TV of the learned density's weights against the data's", gap)]
        figures += [Figure("weight of its first mode", float(truth["the learned density"][0]))]
        for budget in BUDGETS:
            for way, program_of in ways.items():
                figures += figures_of(learned, way, program_of(learned, budget), num_runs, truth)
        report(name, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
