"""A density that is known: are log Z and likelihoods of a trained energy right?

    python -m benchmarks.likelihood --dim 2
    python -m benchmarks.likelihood --dim 16

The rows of `benchmarks.mixture` (.8 N(0, I) + .2 N(6 u, I)) go through the pipeline as a user's table would, with all
defaults. At the lowest noise level

- log Z of the learned `exp f`, by populations of particles, within .05 nat of that by importance sampling from the
  noised density (200,000 rows; its standard error is printed), and at d = 2 of that by quadrature;
- the held-out log-likelihood, in the rows' units, within .05 nat of that of the mixture itself for the same rows: what
  is lost beside the truth is the model's, not the estimate's;
- that by the probability flow within .1 nat, for the rows that it scores.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import torch

from benchmarks.figures import Figure, report
from benchmarks.mixture import NUM_EXACT, run, write_rows
from benchmarks.targets import Mixture
from scorefleet.tasks.data.prepare import read_split
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.judging.evaluate import HELD_OUT

HALF_WIDTH, NUM_NODES = 8.0, 1601  # of the grid of the quadrature, in standard deviations of the data, each way


def main() -> int:
    """Make the table, run the pipeline, judge its numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dim", type=int, default=2)
    parser.add_argument("--root", default="./runs")
    options = parser.parse_args()
    mixture, data = write_rows(options.dim, Path(options.root))
    summary = run(data, options.root)
    folder = Path(summary["data"])
    metrics = summary["metrics"]
    evaluation = Path(summary["evaluation"])
    figures = [
        *log_z_figures(standardised(mixture, folder), Path(summary["model"]), metrics),
        *row_figures(mixture, folder, evaluation, metrics),
    ]
    return report(f"likelihoods of two Gaussians, d = {options.dim}", figures)


def standardised(mixture: Mixture, folder: Path) -> Mixture:
    """The mixture in the coordinates of the prepared rows."""
    columns = read_schema(folder).columns
    location = torch.tensor([column.location[0] for column in columns], dtype=torch.float64)
    return mixture.standardised(location, torch.tensor([column.scale for column in columns], dtype=torch.float64))


def log_z_figures(mixture: Mixture, model: Path, metrics: dict[str, float]) -> list[Figure]:
    """log Z of the learned energy by particles, beside what needs to know the truth."""
    energy, level = models.load(model), 2 * math.log(metrics["likelihood/noise"])
    exact = mixture.noised(level)
    x = exact.sample(NUM_EXACT, torch.Generator().manual_seed(3))
    ratio = (_log_density(energy, x, level) - exact.log_density(x)).exp()
    known, error = float(ratio.mean().log()), float(ratio.std() / ratio.mean()) / math.sqrt(NUM_EXACT)
    found, reach = metrics["likelihood/log_z"], metrics["likelihood/log_z_high"] - metrics["likelihood/log_z"]
    figures = [
        Figure("log Z by particles, nats", found),
        Figure("  half of its 95 % interval", reach),
        Figure("  less that by importance sampling", found - known, -0.05, 0.05),
        Figure("  standard error of the latter", error),
    ]
    if energy.dim == 2:
        figures.append(Figure("  less that by quadrature", found - quadrature(energy, level), -0.05, 0.05))
    return figures


def quadrature(energy: models.Model, level: float) -> float:
    """`ln int exp f` in two dimensions, by the midpoint rule on a grid."""
    nodes = torch.linspace(-HALF_WIDTH, HALF_WIDTH, NUM_NODES, dtype=torch.float64)
    values = [_log_density(energy, torch.cartesian_prod(row[None], nodes), level).logsumexp(0) for row in nodes]
    return float(torch.stack(values).logsumexp(0)) + 2 * math.log(float(nodes[1] - nodes[0]))


def row_figures(mixture: Mixture, folder: Path, evaluation: Path, metrics: dict[str, float]) -> list[Figure]:
    """Held-out log-likelihoods of the model less those of the mixture itself, for the same rows."""
    table = pyarrow.csv.read_csv(evaluation / "likelihoods.csv")
    rows = pa.concat_tables([read_split(folder, name) for name in HELD_OUT]).slice(0, len(table))
    x = torch.from_numpy(np.stack([column.to_numpy() for column in rows.columns], axis=1))
    truth = mixture.log_density(x).numpy()
    lost = table["log_likelihood"].to_numpy() - truth
    flow = table["by_probability_flow"].drop_null().to_numpy()
    return [
        Figure("held-out log-likelihood of the mixture, nats", float(truth.mean())),
        Figure("  of the model less that", float(lost.mean()), -0.05, 0.05),
        Figure("  standard error over rows of the difference", float(lost.std() / math.sqrt(len(lost)))),
        Figure("  of its probability flow less that", float((flow - truth[: len(flow)]).mean()), -0.1, 0.1),
        Figure("  energy less flow, nats", metrics["likelihood/energy_minus_flow"]),
    ]


def _log_density(energy: models.Model, x: torch.Tensor, level: float) -> torch.Tensor:
    with torch.no_grad():
        return energy.log_density(x.float(), torch.full((len(x),), level)).double()


if __name__ == "__main__":
    sys.exit(main())
