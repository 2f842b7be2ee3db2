"""The verdict of `scorefleet sample` on densities with known truth: exit code 0 if and only if the draws are right.

    python -m benchmarks.known_truth [--only NAME ...] [--kind KIND ...] [--seed 0 1 2] [--num_draws N] [--list]

Each density of `benchmarks.known` runs in this process as `scorefleet sample` runs it: checks, warm-up, 256 chains in
one block, a store, its verdict. The mean, standard deviation and quantiles (.5, 5, 25, 50, 75, 95 and 99.5 %) of
every coordinate and of the log density are compared with those of 400,000 exact draws.

They are *right* where each is off by at most `z` of its stated Monte Carlo standard error and that of the exact draws,
and 1 % of the standard deviation; z is such that all statistics of one run together are off by chance in 1 run of
1,000. Where a moment does not exist only quantiles are compared. Columns: density, kind, exit code, right (with the
worst statistic), and whether the verdict is right: `yes`, `WRONG` (exit code 0 and wrong draws, or a traceback) or
`refused` (right draws, or a density with infinite variance, that did not get exit code 0).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
import torch
from scipy import stats

from benchmarks.known import KNOWN, identifier
from benchmarks.known.known import Known
from scorefleet.tasks import config
from scorefleet.tasks.errors import UserError
from scorefleet.tasks.fleet.segments import advanced
from scorefleet.tasks.judging.target_measures import Draws, measure_target, read_draws
from scorefleet.tasks.judging.target_verdict import judge_measures
from scorefleet.tasks.mcmc.diagnostics import diagnostics
from scorefleet.tasks.sampling.sample_target import WARM, TargetMaker, description_of, program_of
from scorefleet.tasks.store.extents import Extent
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.user_code import density, starting_points

QUANTILES = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)
NUM_EXACT, BLOCK, FALSE_ALARM_RATE, TOLERANCE = 400_000, 256, 1e-3, 0.01
CONVERGED, TRACEBACK, NOT_CONVERGED = 0, 1, 6


class Run(NamedTuple):
    """How a run ended: its exit code, its first line, and the draws if there are any."""

    code: int
    line: str
    draws: Draws | None


def sample(known: Known, seed: int, num_draws: int) -> Run:
    """What `scorefleet sample` does, without Ray."""
    target = f"benchmarks.known:{identifier(known.name)}"
    settings: dict[str, Any] = {"dim": known.dim, "support": known.support, "num_draws": num_draws, "block_size": BLOCK}
    try:
        return _sample(config.Chains(target, **settings, **known.options), seed)
    except UserError as error:
        return Run(error.exit_code, str(error), None)
    except Exception as error:
        return Run(TRACEBACK, f"TRACEBACK {type(error).__name__}: {str(error).partition(chr(10))[0]}", None)


def _sample(chains: config.Chains, seed: int) -> Run:
    maker = TargetMaker(chains)
    given = starting_points.read(chains.init, chains.dim).x if chains.init else None
    start = None if given is None else starting_points.to_free(str(chains.init), given, maker.support)
    density.check(chains.target, maker.log_density, maker.support, start)
    data = maker.warm_up(seed, given)
    warm = safetensors.numpy.load(data)
    program = program_of(chains, seed, warm)
    layout = Layout(program.block_size, program.draws_per_segment, (Extent(chains.num_chains, chains.num_draws),))
    with tempfile.TemporaryDirectory() as folder:
        entries = [
            advanced(
                folder, *place, lambda before, place=place: maker.make(program, layout, warm, *place, before), {}
            ).entry
            for place in layout.places()
        ]
        (Path(folder) / WARM).write_bytes(data)
        store = SampleStore(folder)
        store.publish(entries, description_of(chains, seed, program, data, None))
        verdict, draws = judge_measures(measure_target(store).measures), read_draws(store)
    return Run(CONVERGED if verdict.is_converged else NOT_CONVERGED, verdict.reasons[0], draws)


def errors(known: Known, draws: Draws) -> dict[str, float]:
    """By how much of what is allowed each statistic is off; 1 or less is right."""
    assert known.draw is not None
    exact = known.draw(NUM_EXACT, torch.Generator().manual_seed(12345))
    columns = {"log density": (draws.log_density, known.log_density(exact).numpy())}
    for k in range(known.dim):
        columns[f"x[{k}]"] = draws.position[:, :, k], exact[:, k].numpy()
    statistics = [
        (f"{what} of {name}", *parts)
        for name, (values, truth) in columns.items()
        for what, *parts in _statistics(known, values, truth)
    ]
    z = float(stats.norm.isf(FALSE_ALARM_RATE / (2 * len(statistics))))
    return {name: abs(off) / (z * error + allowed + 1e-300) for name, off, error, allowed in statistics}


def _statistics(known: Known, values: np.ndarray, truth: np.ndarray) -> list[tuple[str, float, float, float]]:
    """Name, difference, standard error and what is allowed beside it of each statistic of one coordinate."""
    low, high = np.quantile(truth, (0.1587, 0.8413))
    allowed, num = TOLERANCE * float(high - low) / 2, len(truth)
    rows = []
    if known.has_mean:
        error = float(np.hypot(diagnostics.mean_error(values), truth.std() / np.sqrt(num)))
        rows.append(("mean", float(values.mean() - truth.mean()), error, allowed))
    if known.has_sd:
        of_truth = np.sqrt(max(((truth - truth.mean()) ** 4).mean() / truth.var() - truth.var(), 0) / num) / 2
        error = float(np.hypot(diagnostics.sd_error(values), of_truth)) if truth.std() > 0 else 0.0
        rows.append(("sd", float(values.std() - truth.std()), error, allowed))
    for p in QUANTILES:
        half = np.sqrt(p * (1 - p) / num)
        near = np.quantile(truth, (max(p - half, 0), p, min(p + half, 1)))
        error = float(np.hypot(diagnostics.quantile_error(values, p), (near[2] - near[0]) / 2))
        rows.append((f"{p:.1%}", float(np.quantile(values, p) - near[1]), error, allowed))
    return [(what, *(float(part) for part in parts)) for what, *parts in rows]


def judged(known: Known, run: Run) -> tuple[str, str]:
    """Whether the draws are right, and whether the verdict is."""
    off = errors(known, run.draws) if known.draw and run.draws else {}
    worst = max(off, key=lambda name: off[name] if np.isfinite(off[name]) else np.inf, default="")
    is_right = bool(off) and all(value <= 1 for value in off.values())
    said = ("right" if is_right else "wrong") + (f", {off[worst]:.2g} {worst}" if worst else "")
    if run.code == TRACEBACK or (run.code == CONVERGED and not is_right):
        return said, "WRONG"
    return said, "yes" if (run.code == CONVERGED) == is_right or not known.has_sd else "refused"


def main() -> int:
    """Run the densities that are asked for, and print the table and its totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(KNOWN), metavar="NAME", default=list(KNOWN))
    parser.add_argument("--kind", nargs="+", choices=sorted({known.kind for known in KNOWN.values()}))
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--num_draws", type=int, default=300)
    parser.add_argument("--list", action="store_true", help="print the names alone")
    arguments = parser.parse_args()
    chosen = [KNOWN[name] for name in arguments.only if not arguments.kind or KNOWN[name].kind in arguments.kind]
    if arguments.list:
        print("\n".join(f"{known.name:34s} {known.kind}" for known in chosen))
        return 0
    verdicts = []
    for known in chosen:
        for seed in arguments.seed:
            start = time.monotonic()
            run = sample(known, seed, arguments.num_draws)
            said, verdict = judged(known, run)
            verdicts.append(verdict)
            took = f"{time.monotonic() - start:4.0f} s"
            how = f"{known.name:34s} {known.kind:8s} seed {seed} exit {run.code} {verdict:8s}{took}"
            print(f"{how}  {said:38s} {run.line}", flush=True)
    counts = ", ".join(f"{verdicts.count(one)} {one}" for one in ("yes", "refused", "WRONG"))
    print(f"{len(chosen)} densities, {len(verdicts)} runs: {counts}")
    return 1 if "WRONG" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
