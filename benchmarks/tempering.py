"""Two modes from a cold start: chains with a tempering ladder beside plain ones, in one run.

    python -m benchmarks.tempering [--dim 8] [--distance 12] [--num-levels 8]

.8 N(0, I) + .2 N(distance e_1, I), 256 chains whose warm-up starts uniform on (-2, 2), 400 draws each. Printed for
both the weight of the far mode (it should be .2) with the standard error of independent chains, gradients a chain,
and for the ladder its round trips, rejected swaps, and log Z by populations along it (it should be 0).
"""

import argparse
import math
import sys

import torch

from benchmarks.figures import Figure, report
from scorefleet.tasks.mcmc import target_program
from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS, tune
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.noise_ladder import smc
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.targets import from_log_density
from scorefleet.tasks.mcmc.tempering import evidence, ladder_warmup, target_ladder
from scorefleet.tasks.mcmc.warmup import warmup

NUM_CHAINS, NUM_DRAWS, BURN_IN, NUM_WARM = 256, 400, 100, 64
NUM_POPULATIONS, NUM_PARTICLES = 32, 1024


def mixture(dim: int, distance: float) -> Target:
    """Normalised, in nats."""

    def log_density(x: torch.Tensor) -> torch.Tensor:
        away = x - distance * torch.eye(dim, dtype=x.dtype)[0]
        near, far = (-0.5 * part.square().sum(1) for part in (x, away))
        both = torch.logaddexp(math.log(0.8) + near, math.log(0.2) + far)
        return both - 0.5 * dim * math.log(2 * math.pi)

    return from_log_density(log_density)


def weight(leg: target_program.Leg, coordinates: Coordinates, distance: float) -> tuple[float, float]:
    """Share of draws in the far mode, and its standard error from chains that are independent of each other."""
    x = coordinates.from_white(leg.position.flatten(0, 1))[0][:, 0].view(NUM_DRAWS, NUM_CHAINS)
    shares = (x > distance / 2).double().mean(0)
    return float(shares.mean()), float(shares.std()) / math.sqrt(NUM_CHAINS)


def main() -> int:
    """One mixture, both kinds of chains."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dim", type=int, default=8)
    parser.add_argument("--distance", type=float, default=12.0)
    parser.add_argument("--num-levels", type=int, default=8)
    options = parser.parse_args()
    target, stream, kernel = mixture(options.dim, options.distance), Stream(0, 0, "warm-up"), KERNELS["hmc"]
    warm = warmup.warm_up(stream, target, warmup.cold_start(stream, NUM_WARM, options.dim))
    coordinates, length = warm.tuned.coordinates, warm.tuned.length
    white, pulled = coordinates.pull_state(warm.state), coordinates.pull(target)
    white, step_size = tune(stream, 100, white, pulled, "hmc", length)
    ladder_stream = Stream(0, 0, "ladder-warm-up")
    tuned = ladder_warmup.tune(ladder_stream, white, pulled, options.num_levels, kernel, step_size, length)
    settings = 0, "hmc", step_size, length, NUM_CHAINS, BURN_IN, NUM_DRAWS, 1, NUM_DRAWS
    chains = torch.arange(NUM_CHAINS) % NUM_WARM
    plain = target_program.first_leg(target_program.Program(*settings), 0, range(NUM_DRAWS), white.x[chains], pulled)
    start = torch.stack([state.x[chains] for state in tuned.replicas.states])
    program = target_ladder.Program(*settings, tuned.ladder)
    laddered = target_ladder.first_leg(program, 0, range(NUM_DRAWS), start, pulled)
    (share, error), (plain_share, plain_error) = (
        weight(leg, coordinates, options.distance) for leg in (laddered, plain)
    )
    schedule = evidence.plan(Stream(0, 0, "plan"), pulled, options.dim, NUM_PARTICLES, ladder_warmup.SCALE)
    found = [evidence.population(Stream(0, k), schedule, pulled).log_z for k in range(NUM_POPULATIONS)]
    result = smc.interval(found, 0.95)
    volume = coordinates.log_volume
    rejected = [1 - a / b for a, b in zip(laddered.counts["swapped"], laddered.counts["swaps_tried"], strict=True)]
    figures = [
        Figure("weight of the far mode", share, 0.2 - 5 * error, 0.2 + 5 * error),
        Figure("  its standard error", error, highest=0.02),
        Figure("  that of plain chains", plain_share),
        Figure("  its standard error", plain_error),
        Figure("gradients a chain", laddered.counts["num_evaluations"]),
        Figure("  of plain chains", plain.counts["num_evaluations"]),
        Figure("round trips a chain", sum(laddered.counts["round_trips"]) / NUM_CHAINS, lowest=2),
        Figure("barrier (sum of rejected swaps)", sum(rejected)),
        Figure("log Z, nats", result.estimate + volume, -0.05, 0.05),
        Figure("  half of its 95 % interval", result.high - result.estimate),
        Figure("  gradients of all particles", NUM_POPULATIONS * NUM_PARTICLES * schedule.num_evaluations),
    ]
    return report(f"two Gaussians at distance {options.distance:g}, d = {options.dim}", figures)


if __name__ == "__main__":
    sys.exit(main())
