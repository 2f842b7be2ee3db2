"""Two Gaussians whose density is known: are draws, mode weights and normalising constants right?

    python -m benchmarks.mixture --dim 2
    python -m benchmarks.mixture --dim 16

20,000 rows of .8 N(0, I) + .2 N(6 u, I), `u` the diagonal direction, go through the pipeline as a user's table
would, with all defaults. Its draws, in the rows' own units, are held against the exact law:

- the weight of the larger mode within .02 of .8; 16,384 independent draws have a sampling error of .003 (one sd); -
log Z(t) = ln E exp(f(x', t) - ln p(x', t)) over exact noised rows x' may drift over the noise levels by at most .1
nat (d = 2) or .5 nat (d = 16); its own standard error is printed; - 5,000 draws against 5,000 fresh exact rows:
energy-distance permutation test not rejected at 1e-3.
"""

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.figures import Figure, report
from benchmarks.targets import Mixture, two_gaussians
from scorefleet.pipelines.cli import main as scorefleet
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.ebm.noise import LOGIT_BETA_MAX
from scorefleet.tasks.mcmc.diagnostics.twosample import energy_test
from scorefleet.tasks.store.manifest import SampleStore

NUM_ROWS, NUM_DRAWS, NUM_JUDGED, NUM_EXACT = 20_000, 16_384, 5_000, 200_000


def main() -> int:
    """Make the table, run the pipeline, judge what it leaves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dim", type=int, default=2)
    parser.add_argument("--root", default="./runs")
    options = parser.parse_args()
    mixture, data = write_rows(options.dim, Path(options.root))
    summary = run(data, options.root)
    steps = summary["steps"].values()
    figures = [
        *draws_figures(mixture, Path(summary["samples"]), options.dim),
        *log_z_figures(mixture, Path(summary["model"]), Path(summary["data"]), options.dim),
        Figure("seconds of all steps", sum(step["seconds"] for step in steps)),
    ]
    return report(f"two Gaussians, d = {options.dim}", figures)


def write_rows(dim: int, root: Path) -> tuple[Mixture, Path]:
    """The mixture, and a table of its rows."""
    mixture = two_gaussians(torch.full((dim,), 1 / math.sqrt(dim)))
    rows = mixture.sample(NUM_ROWS, torch.Generator().manual_seed(1))
    data = root / f"mixture-{dim}.parquet"
    data.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({f"x{k}": rows[:, k].numpy() for k in range(dim)}), data)
    return mixture, data


def run(data: Path, root: str) -> dict[str, Any]:
    """The summary of the pipeline on a table, with all defaults but the number of draws."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        chains = ["--sample.num_chains", str(NUM_DRAWS)]
        scorefleet(["run", "--data", str(data), "--name", data.stem, "--root", root, "--summary", file.name, *chains])
        return json.loads(Path(file.name).read_text())


def draws_figures(mixture: Mixture, store: Path, dim: int) -> list[Figure]:
    """Mode weight and two-sample test of the rows that the user gets."""
    table = SampleStore(str(store), writable=False).dataset().to_table()
    draws = np.stack([table[f"x{k}"].to_numpy() for k in range(dim)], axis=1)
    weight = float(mixture.responsibilities(torch.from_numpy(draws))[:, 0].mean())
    fresh = mixture.sample(NUM_JUDGED, torch.Generator().manual_seed(2)).numpy()
    chosen = np.random.default_rng(0).choice(len(draws), NUM_JUDGED, replace=False)
    test = energy_test(draws[chosen], fresh, 1e-3, 0)
    return [
        Figure("weight of the larger mode", weight, 0.78, 0.82),
        Figure("p of 5,000 draws against exact rows", test.p_value, lowest=1e-3),
    ]


def log_z_figures(mixture: Mixture, model: Path, data: Path, dim: int) -> list[Figure]:
    """How much log Z differs between noise levels, by importance sampling from the exact noised density."""
    energy, schema = models.load(model), read_schema(data)
    location = torch.tensor([column.location[0] for column in schema.columns], dtype=torch.float64)
    scale = torch.tensor([column.scale for column in schema.columns], dtype=torch.float64)
    standardised = mixture.standardised(location, scale)
    lowest = 2 * math.log(0.05)
    log_z, errors = [], []
    for level in torch.linspace(lowest, LOGIT_BETA_MAX, 24).tolist():
        exact = standardised.noised(level)
        x = exact.sample(NUM_EXACT, torch.Generator().manual_seed(3))
        with torch.no_grad():
            value = energy.log_density(x.float(), torch.full((NUM_EXACT,), level)).double()
        ratio = (value - exact.log_density(x)).exp()
        log_z.append(float(ratio.mean().log()))
        errors.append(float(ratio.std() / ratio.mean()) / math.sqrt(NUM_EXACT))
    return [
        Figure("drift of log Z over the noise levels, nats", max(log_z) - min(log_z), highest=0.1 if dim == 2 else 0.5),
        Figure("  largest standard error of a log Z", max(errors)),
    ]


if __name__ == "__main__":
    sys.exit(main())
