"""Accuracy and cost of the chains on posteriors with known moments, beside BlackJAX, in one run.

    python -m benchmarks.efficiency [--target NAME] [--seed N ...] [--peers]

64 chains start cold, uniform on (-2, 2), with 2,000 gradients each, warm-up and all. Printed for each sampler: the
squared error of the worst mean in units of the variance (b^2), the largest split R-hat, the least bulk effective sample
size per 1,000 gradients spent on draws, the least acceptance of a chain, and the gradients of the warm-up. A peer whose
warm-up takes more than the gradients has its effective sample size measured after them all the same, and no error.
"""

import argparse
import sys
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.posteriors import Posterior, all_posteriors
from scorefleet.tasks.mcmc import keep
from scorefleet.tasks.mcmc.diagnostics.diagnostics import bulk_ess, split_rhat
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import warmup

NUM_CHAINS, NUM_GRADIENTS, CHUNK, FIRST_KEPT = 64, 2000, 5, 100
LONG_RUN = 8000
# Steps that adapt, and draws.
MALA_STEPS, NUTS_STEPS, CHEES_STEPS = (500, 1500), (200, 100), (200, 100)


class Run(NamedTuple):
    """What a sampler did: draws [chain, draw, dim] and how many of them came within the gradients; the gradients a
    chain for all draws and before them; least acceptance if it was counted.
    """

    x: np.ndarray
    num_within: int
    num_gradients: float
    num_warmup: float
    acceptance: float | None = None


def ours(posterior: Posterior, seed: int, num_gradients: int) -> Run:
    """Warm up, freeze, and keep draws while gradients last."""
    stream, target = Stream(seed, 0, "efficiency"), posterior.target()
    warm = warmup.warm_up(stream, target, warmup.cold_start(stream, NUM_CHAINS, posterior.dim))
    state, draws, accepted, used = warm.state, [], [], 0
    tuned = warm.tuned
    most = CHUNK * min(round(1.5 * tuned.length / tuned.step_size) + 1, keep.MAX_LEAPFROGS)
    while warm.num_gradients + used + most <= num_gradients:
        phase = FIRST_KEPT + len(draws)
        kept = keep.keep(stream, phase, state, target, *tuned, CHUNK)
        state, used = kept.state, used + kept.num_gradients
        draws.append(kept.x)
        accepted.append(kept.acceptance)
    x = torch.cat(draws).transpose(0, 1).numpy()
    return Run(x, x.shape[1], used, warm.num_gradients, float(torch.stack(accepted).mean(0).min()))


def theirs(counted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Run:
    """Of `benchmarks.peers`."""
    x, gradients, warmup_gradients = counted
    is_within = warmup_gradients[:, None] + gradients.cumsum(1) <= NUM_GRADIENTS
    return Run(x, int(is_within.sum(1).min()), gradients.sum(1).mean(), warmup_gradients.mean())


def moments(posterior: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """Known ones, or those of a long run of another seed."""
    if posterior.mean is not None and posterior.sd is not None:
        return posterior.mean, posterior.sd
    x = ours(posterior, 10_000, LONG_RUN).x.reshape(-1, posterior.dim)
    return x.mean(0), x.std(0)


def row(name: str, run: Run, mean: np.ndarray, sd: np.ndarray) -> str:
    """One line of the table."""
    within, axes = run.x[:, : run.num_within], range(run.x.shape[2])
    ess = min(bulk_ess(run.x[:, :, i]) for i in axes) / (NUM_CHAINS * run.num_gradients) * 1000
    cost = f"ESS/1000 {ess:8.3f}  warm-up {run.num_warmup:6.0f}"
    if run.num_within < 4:
        return f"  {name:10s} b^2 {'-':>8s}  R-hat {'-':>6s}  {cost}  (not warm after {NUM_GRADIENTS} gradients)"
    error = float((((within.mean((0, 1)) - mean) / sd) ** 2).max())
    rhat = max(split_rhat(within[:, :, i]) for i in axes)
    least = "" if run.acceptance is None else f"  least acceptance {run.acceptance:.2f}"
    return f"  {name:10s} b^2 {error:8.1e}  R-hat {rhat:6.3f}  {cost}{least}"


def compare(posterior: Posterior, seeds: list[int], with_peers: bool) -> None:
    """Print the rows of one posterior; the peers' with the first seed."""
    mean, sd = moments(posterior)
    for seed in seeds:
        print(row("scorefleet", ours(posterior, seed, NUM_GRADIENTS), mean, sd), flush=True)
    if with_peers:
        from benchmarks import peers

        seed = seeds[0]

        print(row("MALA", theirs(peers.mala(posterior, seed, NUM_CHAINS, *MALA_STEPS)), mean, sd), flush=True)
        print(row("NUTS", theirs(peers.nuts(posterior, seed, NUM_CHAINS, *NUTS_STEPS)), mean, sd), flush=True)
        print(row("ChEES", theirs(peers.chees(posterior, seed, NUM_CHAINS, *CHEES_STEPS)), mean, sd), flush=True)


def main() -> int:
    """One posterior or all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", choices=list(all_posteriors()))
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--peers", action="store_true", help="BlackJAX beside ours; needs blackjax")
    arguments = parser.parse_args()
    for name, posterior in all_posteriors().items():
        if arguments.target in (None, name):
            print(f"{name} ({posterior.dim}-D)", flush=True)
            compare(posterior, arguments.seed, arguments.peers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
