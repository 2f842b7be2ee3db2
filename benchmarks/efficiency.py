"""Accuracy and cost of the chains on posteriors with known moments, from a cold start.

    python -m benchmarks.efficiency [--target NAME] [--seed N]

64 chains start cold, uniform on (-2, 2), with 2,000 gradients each, warm-up and all. Printed for each sampler: the
squared error of the worst mean in units of the variance (b^2), the largest split R-hat, the least bulk effective sample
size per 1,000 gradients spent on draws, the least acceptance of a chain, and the gradients of the warm-up.
"""

import argparse
import sys
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.posteriors import Posterior, all_posteriors
from tasks.mcmc import keep, warmup
from tasks.mcmc.diagnostics import bulk_ess, split_rhat
from tasks.mcmc.streams import Stream

NUM_CHAINS, NUM_GRADIENTS, CHUNK, FIRST_KEPT = 64, 2000, 5, 100
LONG_RUN = 20_000


class Run(NamedTuple):
    """What a sampler did: draws [chain, draw, dim], gradients a chain for them and before them, least acceptance."""

    x: np.ndarray
    num_gradients: float
    num_warmup: float
    acceptance: float


def ours(posterior: Posterior, seed: int, num_gradients: int) -> Run:
    """Warm up, freeze, and keep draws while gradients last."""
    stream, target = Stream(seed, 0, "efficiency"), posterior.target()
    warm = warmup.warm_up(stream, target, warmup.cold_start(stream, NUM_CHAINS, posterior.dim))
    state, draws, accepted, used = warm.state, [], [], 0
    most = CHUNK * min(round(1.5 * warm.length / warm.step_size) + 1, keep.MAX_LEAPFROGS)
    while warm.num_gradients + used + most <= num_gradients:
        phase = FIRST_KEPT + len(draws)
        kept = keep.keep(stream, phase, state, target, warm.whitening, warm.step_size, warm.length, CHUNK)
        state, used = kept.state, used + kept.num_gradients
        draws.append(kept.x)
        accepted.append(kept.acceptance)
    x = torch.cat(draws).transpose(0, 1).numpy()
    return Run(x, used, warm.num_gradients, float(torch.stack(accepted).mean(0).min()))


def moments(posterior: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """Known ones, or those of a long run of another seed."""
    if posterior.mean is not None and posterior.sd is not None:
        return posterior.mean, posterior.sd
    x = ours(posterior, 10_000, LONG_RUN).x.reshape(-1, posterior.dim)
    return x.mean(0), x.std(0)


def row(name: str, run: Run, mean: np.ndarray, sd: np.ndarray) -> str:
    """One line of the table."""
    if run.x.shape[1] < 4:
        return f"  {name:16s} warm-up not finished after {run.num_warmup:.0f} gradients"
    error = float((((run.x.mean((0, 1)) - mean) / sd) ** 2).max())
    axes = range(run.x.shape[2])
    rhat = max(split_rhat(run.x[:, :, i]) for i in axes)
    ess = min(bulk_ess(run.x[:, :, i]) for i in axes) / (NUM_CHAINS * run.num_gradients) * 1000
    return (
        f"  {name:16s} b^2 {error:9.2e}  R-hat {rhat:6.3f}  ESS/1000 {ess:7.2f}"
        f"  least acceptance {run.acceptance:.2f}  warm-up {run.num_warmup:.0f}"
    )


def main() -> int:
    """One posterior or all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", choices=list(all_posteriors()))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name, posterior in all_posteriors().items():
        if arguments.target in (None, name):
            mean, sd = moments(posterior)
            print(f"{name} ({posterior.dim}-D)", flush=True)
            print(row("scorefleet", ours(posterior, arguments.seed, NUM_GRADIENTS), mean, sd), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
