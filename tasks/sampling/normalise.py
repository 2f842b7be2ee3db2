"""Step: log Z of the learned density at the lowest noise level, which turns its energies into likelihoods.

Populations of particles walk down a ladder that was tuned and frozen before (`mcmc.noise_ladder.smc`). A population is
the unit of work, a pure function of (seed, population), and leaves `population-<number>.json`, so the estimate does
not depend on how many actors there were, which died, or what ran twice. `tuning.json` holds the ladder.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch

from scorefleet.tasks.dag.artifacts import Model, Normaliser
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.ebm import noise
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.fleet.fleet import Fleet
from scorefleet.tasks.fleet.hardware import own_device
from scorefleet.tasks.fleet.progress import Progress
from scorefleet.tasks.fleet.start import start_fleet
from scorefleet.tasks.fleet.worker import Worker
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS
from scorefleet.tasks.mcmc.noise_ladder import annealing, smc
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder, Tuning
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.sampling.descent import Descent, lowest_noise
from scorefleet.tasks.store.objects import exists, open_store, put_if_absent, read

TUNING_CHAINS, TUNING_STEPS = 128, 10


@dataclass(frozen=True)
class Program:
    """What all populations share."""

    seed: int
    ladder: Ladder
    steps_per_level: int
    num_particles: int
    temperature: float


@dataclass(frozen=True)
class Job:
    """The populations to walk, and the folder where each leaves what it found."""

    program: Program
    num_blocks: int
    folder: str

    def num_segments(self, block: int) -> int:
        """A population is walked in one go."""
        return 1


@dataclass(frozen=True)
class Found:
    """The logs of one population's unbiased estimates: of Z, and of the normaliser of `exp(f/T)`."""

    block: int
    segment: int
    log_z: float
    log_z_sampled: float


def normalise(config: Descent, context: Context, model: Model) -> Normaliser:
    """Tune, freeze, walk: the populations' estimates of log Z at temperature 1, and at that of the chains."""
    populations = config.populations
    fleet = start_fleet(PopulationWorker, (model.uri,), context.cluster, populations.num_populations)
    level = noise.logit_beta_of(lowest_noise(config.lowest_noise, read_schema(Path(model.uri))))
    program = Program(
        seed=context.seed,
        ladder=_tune(config, context, fleet, level),
        steps_per_level=config.steps_per_level,
        num_particles=populations.num_particles,
        temperature=config.temperature,
    )
    job = Job(program, populations.num_populations, str(context.folder))
    watcher = _Watcher(job)
    fleet.run(job, watcher)
    fleet.dismiss()
    found = [watcher.found[block] for block in range(job.num_blocks)]
    return Normaliser(
        uri=str(context.folder),
        logit_beta=level,
        temperature=config.temperature,
        by_population=tuple(one.log_z for one in found),
        by_population_sampled=tuple(one.log_z_sampled for one in found),
    )


class PopulationWorker(Worker):
    """Holds a model on a device and walks whatever population it is given; keeps nothing between calls."""

    def __init__(self, folder: str):
        self.device = torch.device(own_device())
        torch.set_num_threads(1)  # the order of a sum must not depend on the machine's number of cores
        self.model = models.load(Path(folder), self.device)

    def tune(self, stream: Stream, levels: tuple[float, ...], tuning: Tuning) -> Ladder:
        """Find the step size of every level."""
        return annealing.tune(stream, self.model.target, levels, self.model.dim, tuning, self.device)

    def advance(self, job: Job, block: int, segment: int) -> Found:
        """Walk one population and keep what it found; one that is there already is left alone."""
        store, path = open_store(job.folder), f"population-{block:05}.json"
        if not exists(store, path):
            put_if_absent(store, path, json.dumps(self._walk(job.program, block)).encode())
        return Found(block, segment, **json.loads(read(store, path)))

    def _walk(self, program: Program, block: int) -> dict[str, float]:
        stream, steps = Stream(program.seed, block, "normalise"), program.steps_per_level
        size, dim = program.num_particles, self.model.dim
        population = smc.walk(stream, self.model.target, program.ladder, steps, size, dim, self.device)
        found = {
            "log_z": smc.log_z_of(population),
            "log_z_sampled": smc.log_z_of(population, program.temperature),
        }
        if not torch.tensor(list(found.values())).isfinite().all():
            raise DataError(
                f"the model has no finite density where population {block} went: train it again, with a lower "
                "train.learning_rate or more rows"
            )
        return found


def _tune(config: Descent, context: Context, fleet: Fleet, lowest: float) -> Ladder:
    """The frozen ladder: found once, kept, read back by every later run of this step."""
    beside = open_store(str(context.folder))
    if not exists(beside, "tuning.json"):
        levels = tuple(noise.ladder(config.num_levels, lowest).tolist())
        tuning = Tuning(TUNING_CHAINS, TUNING_STEPS, KERNELS["mala"].target_acceptance)
        stream = Stream(context.seed, 0, "normalise-tuning")
        tuned: Ladder = fleet.ask("tune", stream, levels, tuning)
        put_if_absent(beside, "tuning.json", json.dumps(dataclasses.asdict(tuned)).encode())
    kept = json.loads(read(beside, "tuning.json"))
    levels, step_sizes, score_norms = (tuple(kept[key]) for key in ("levels", "step_sizes", "score_norms"))
    return Ladder(levels, step_sizes, score_norms)


class _Watcher:
    """Keeps what populations found, and counts them into a progress line."""

    def __init__(self, job: Job):
        self._progress = Progress("normalise", job.num_blocks, "populations")
        self._progress.update(0)
        self.found: dict[int, Found] = {}

    def __call__(self, found: Found) -> None:
        self.found[found.block] = found
        log_z = [one.log_z for one in self.found.values()]
        self._progress.update(len(log_z), f"log Z {min(log_z):.2f} to {max(log_z):.2f}")
