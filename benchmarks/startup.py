"""What a command costs before and after the chains: `scorefleet sample` beside its floor, and beside a NUTS script.

    python -m benchmarks.startup          # five minutes; other work on the machine makes its figures useless

1. A trivial target beside what no such command can do without: importing torch, Ray and MLflow, starting Ray with one
   actor that imports torch, and ending.
2. A linear regression with nine parameters on 200 rows, 2,000 effective draws and more, as a whole command and from
   Python, beside a script that runs NumPyro's NUTS with 4 chains of 2,000 steps.

Each is a process of its own, in turns; medians of three, and ratios of neighbours.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, report

TURNS = 3
SAYING = ("NUTS", "regression, from Python")
"""Print the least number of effective draws, and the mean of the first coefficient."""

FLOOR = """
from scorefleet.tasks.fleet.secure import secure_ray
secure_ray(is_own=True)
import gc, torch, ray, mlflow
from scorefleet.tasks import config
from scorefleet.tasks.fleet import cluster
cluster.connect(config.Cluster())
@ray.remote(num_cpus=1)
class One:
    def __init__(self):
        import torch
    def answer(self):
        return 1
assert ray.get(One.remote().answer.remote()) == 1
gc.freeze()
"""
REGRESSION = """
def log_density(beta, scale, data):
    mean = beta @ data["x"].T
    likelihood = -0.5 * ((data["y"] - mean) / scale[:, None]).square().sum(1) - len(data["y"]) * scale.log()
    return likelihood - 0.5 * beta.square().sum(1) / 25 - scale
"""
IN_PYTHON = """
import numpy as np, scorefleet as sf
from regression import log_density
draws = sf.sample(log_density, {"beta": [8], "scale": []}, support={"scale": "positive"}, data="data.npz",
                  num_chains=64, num_draws=100)
print(draws.verdict.metrics["chains/bulk_ess_min"], draws.to_pandas()["beta[0]"].mean())
"""
NUTS = """
import jax, numpy as np, numpyro, numpyro.distributions as dist
from numpyro.diagnostics import effective_sample_size
jax.config.update("jax_enable_x64", True)
data = np.load("data.npz")
def model(x, y):
    beta = numpyro.sample("beta", dist.Normal(0, 5).expand([8]).to_event(1))
    scale = numpyro.sample("scale", dist.Exponential(1.0))
    numpyro.sample("y", dist.Normal(x @ beta, scale), obs=y)
mcmc = numpyro.infer.MCMC(numpyro.infer.NUTS(model), num_warmup=1000, num_samples=1000, num_chains=4,
                          chain_method="vectorized", progress_bar=False)
mcmc.run(jax.random.PRNGKey(0), data["x"], data["y"])
draws = mcmc.get_samples(group_by_chain=True)
print(min(np.min(effective_sample_size(np.asarray(value))) for value in draws.values()), draws["beta"][..., 0].mean())
"""


def seconds(words: list[str], folder: Path) -> tuple[float, str]:
    """How long a process takes, and what it prints."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(folder)])}
    start = time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - start
    if done.returncode not in (0, 6):  # few draws of a trivial target do not converge
        raise RuntimeError(done.stderr[-2000:])
    return taken, done.stdout


def commands(folder: Path, turn: int) -> dict[str, list[str]]:
    """All, each with a root of its own."""
    sample = [sys.executable, "-m", "scorefleet", "sample", "--num_chains", "64"]
    trivial = [*sample, "--target", "benchmarks.standard_normal:log_density", "--dim", "2", "--num_draws", "20"]
    blocks = ["--support", "beta[8]: real, scale: positive", "--data", "data.npz", "--num_draws", "100"]
    regression = [*sample, "--target", "regression:log_density", *blocks]
    alone = ["--cluster.num_actors", "0"]
    return {
        "floor": [sys.executable, "-c", FLOOR],
        "trivial": [*trivial, "--root", str(folder / f"trivial-{turn}")],
        "trivial, no actors": [*trivial, *alone, "--root", str(folder / f"trivial-alone-{turn}")],
        "NUTS": [sys.executable, "-c", NUTS],
        "regression, from Python": [sys.executable, "-c", IN_PYTHON],
        "regression, no actors": [*regression, *alone, "--root", str(folder / f"regression-alone-{turn}")],
        "regression": [*regression, "--root", str(folder / f"regression-{turn}")],
    }


def main() -> int:
    """Median seconds of each, and the ratios beside the targets."""
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 8))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        np.savez(folder / "data.npz", x=x, y=x @ np.linspace(-1, 1, 8) + 0.5 * random.normal(size=200))
        (folder / "regression.py").write_text(REGRESSION)
        taken: dict[str, list[float]] = {}
        for turn in range(TURNS):
            for name, words in commands(folder, turn).items():
                spent, said = seconds(words, folder)
                taken.setdefault(name, []).append(spent)
                print(f"{turn} {name:<26}{spent:7.1f} s  {said.strip()[:60] if name in SAYING else ''}")

    def ratio(name: str, over: str) -> float:
        return statistics.median(a / b for a, b in zip(taken[name], taken[over], strict=True))

    figures = [Figure(f"seconds of {name}", statistics.median(spent)) for name, spent in taken.items()]
    return report(
        "starting up",
        [
            *figures,
            Figure("trivial over its floor", ratio("trivial", "floor"), highest=1.5),
            Figure("regression from Python over NUTS", ratio("regression, from Python", "NUTS"), highest=1.0),
            Figure("regression without actors over NUTS", ratio("regression, no actors", "NUTS"), highest=1.0),
            Figure("regression over NUTS", ratio("regression", "NUTS")),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
