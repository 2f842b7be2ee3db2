"""log Z of a user's own density, in the fleet: a block is one population, a pure function of (seed, population).

What is integrated is `exp(log density)` over the user's own coordinates: the Jacobians of the support's transforms are
in the target, and the constant one of the whitening is added at the end. On a simplex the measure is Lebesgue's on its
first n-1 coordinates, as in the density of the Dirichlet law.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.fleet.fleet import Fleet
from scorefleet.tasks.fleet.job import Advanced, Job
from scorefleet.tasks.fleet.progress import Progress
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.noise_ladder import smc
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.tempering import evidence
from scorefleet.tasks.mcmc.tempering.evidence import Schedule
from scorefleet.tasks.mcmc.tempering.ladder_warmup import SCALE
from scorefleet.tasks.mcmc.warmup.modes import Modes
from scorefleet.tasks.store.extents import Extent
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import Entry, SampleStore
from scorefleet.tasks.store.objects import exists, open_store, put_if_absent, read

NUM_POPULATIONS, NUM_PARTICLES, CONFIDENCE = 32, 1024, 0.95
SCHEDULE, STORE = "evidence.json", "evidence"
LAYOUT = Layout(block_size=1, draws_per_segment=1, extents=(Extent(NUM_POPULATIONS, 1),))


@dataclass(frozen=True)
class Program:
    """What all populations share."""

    seed: int
    schedule: Schedule


@dataclass(frozen=True)
class EvidenceJob(Job[Program]):
    """A store to fill with the estimates of all populations, a chain of one draw each; `draws` is the store of the
    samples, which holds the warm-up.
    """

    draws: str


def planned(seed: int, target: Target, dim: int, modes: Modes | None) -> Schedule:
    """The frozen levels and step sizes, of a target in white coordinates and its modes in them."""
    return evidence.plan(Stream(seed, 0, "evidence-plan"), target, dim, NUM_PARTICLES, SCALE, modes)


def walk(
    job: EvidenceJob, block: int, target: Target, modes: Modes | None
) -> tuple[pa.Table, dict[str, np.ndarray], dict[str, Any]]:
    """The row of one population, the state after it, which is none, and what was counted."""
    found = evidence.population(Stream(job.program.seed, block, "evidence"), job.program.schedule, target, modes)
    row = {"chain": pa.array([block]), "draw": pa.array([0], pa.int32()), "log_z": pa.array([found.log_z])}
    return pa.table(row), {}, {"num_nonfinite": found.num_nonfinite}


def estimate(fleet: Fleet, context: Context, draws: str, volume: float) -> dict[str, float]:
    """Plan, freeze, walk; log Z in nats with its interval, and what it took. `draws` is the store that holds the
    warm-up, `volume` `ln |det|` of its whitening.
    """
    beside = open_store(str(context.folder))
    if not exists(beside, SCHEDULE):
        schedule: Schedule = fleet.ask("plan", context.seed, draws)
        put_if_absent(beside, SCHEDULE, json.dumps(dataclasses.asdict(schedule)).encode())
    kept = json.loads(read(beside, SCHEDULE))
    schedule = Schedule(**kept | {name: tuple(kept[name]) for name in ("levels", "step_sizes")})
    job = EvidenceJob(Program(context.seed, schedule), LAYOUT, str(context.folder / STORE), draws)
    progress = Progress("log Z", job.num_blocks, "populations")
    progress.update(0)
    done: list[Entry] = []

    def on_commit(made: Advanced) -> None:
        done.append(made.entry)
        progress.update(len(done))

    entries = fleet.fill(job, on_commit)
    store = SampleStore(job.store)
    sizes = {"block_size": LAYOUT.block_size, "num_draws": 1, "draws_per_segment": LAYOUT.draws_per_segment}
    description = {"num_chains": LAYOUT.num_chains, "program": dataclasses.asdict(job.program) | sizes}
    store.publish(entries, description)
    by_population = store.dataset().to_table()["log_z"].to_numpy()
    found = smc.interval(by_population.tolist(), CONFIDENCE)
    if not math.isfinite(found.high):
        raise DataError("log Z has no estimate: too few populations met a finite density; declare the support")
    return {
        "log_z": found.estimate + volume,
        "low": found.low + volume,
        "high": found.high + volume,
        "confidence": CONFIDENCE,
        "num_populations": job.num_blocks,
        "num_particles": schedule.num_particles,
        "num_levels": len(schedule.levels),
        "num_evaluations": job.num_blocks * schedule.num_particles * schedule.num_evaluations,
        "num_nonfinite": sum(entry.facts["num_nonfinite"] for entry in entries),
    }
