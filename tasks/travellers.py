"""Step: draw from a user's own density with a fleet of chains that travel over all of it.

The chains of a block start from points that one warm-up found, so those that share one are a superchain; whatever the
warm-up tuned (metric and step size) is frozen before the first kept draw.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import safetensors.numpy
import torch
from torch import Tensor

from tasks import cluster, config, density
from tasks.artifacts import Samples
from tasks.context import Context
from tasks.fleet import Fleet, Made, state_before
from tasks.hardware import hardware
from tasks.mcmc import travel
from tasks.mcmc.kernels import KERNELS, tune
from tasks.mcmc.metropolis import State
from tasks.mcmc.preconditioning import Whitening
from tasks.mcmc.streams import Stream
from tasks.mcmc.targets import from_log_density
from tasks.mcmc.warmup import cold_start, warm_up
from tasks.progress import Progress
from tasks.provenance import provenance
from tasks.store.manifest import Entry, SampleStore
from tasks.store.objects import exists, open_store, put_if_absent, read

ROWS_PER_SHARD = 65_536
NUM_WARM = 64
"""Chains that the warm-up runs, and so superchains."""

WARM = "warm.safetensors"
TUNING = 100  # a phase of the warm-up's stream that the warm-up itself does not use


@dataclass(frozen=True)
class Job:
    """A store to fill: the program of its blocks, and how many chains it holds."""

    program: travel.Program
    num_chains: int
    store: str

    @property
    def num_blocks(self) -> int:
        """Blocks that hold the chains; the last may be only partly kept."""
        return -(-self.num_chains // self.program.block_size)


def sample_target(config: config.Chains, context: Context) -> Samples:
    """Check the density, warm up, freeze, draw, publish."""
    support = density.support_of(config)
    density.check(config.target, density.load(config.target), support)
    cluster.connect(context.cluster)
    fleet = Fleet.start(TargetActor, (config,), context.cluster.num_actors)
    store = SampleStore(str(context.folder / "draws"))
    inside = open_store(store.uri)
    if not exists(inside, WARM):
        put_if_absent(inside, WARM, ray.get(fleet.first().warm_up.remote(context.seed)))
    warm = safetensors.numpy.load(read(inside, WARM))
    program = program_of(config, context.seed, *warm["tuned"].tolist())
    job = Job(program, config.num_chains, store.uri)
    entries = fleet.run(job, _Watcher(job))
    fleet.dismiss()
    store.publish(entries, description_of(config, context.seed, program, read(inside, WARM)))
    published = store.description()
    return Samples(store.uri, published["digest"], published["num_rows"], None)


def description_of(config: config.Chains, seed: int, program: travel.Program, warm: bytes) -> dict[str, Any]:
    """What a store says of itself: all that makes its rows again."""
    return provenance(TargetMaker.__module__, seed) | {
        "config": dataclasses.asdict(config),
        "target": config.target,
        "target_digest": density.digest_of(config),
        "program": dataclasses.asdict(program),
        "num_chains": config.num_chains,
        "is_exact": KERNELS[config.kernel].is_exact,
        "files": {WARM: hashlib.sha256(warm).hexdigest()},
    }


def program_of(config: config.Chains, seed: int, step_size: float, length: float) -> travel.Program:
    """The program of every block of a store."""
    return travel.Program(
        seed=seed,
        kernel=config.kernel,
        step_size=step_size,
        length=length,
        block_size=config.block_size,
        burn_in=config.burn_in,
        num_draws=config.num_draws,
        thinning=config.thinning,
        draws_per_segment=max(1, ROWS_PER_SHARD // config.block_size),
    )


class TargetMaker:
    """Makes any segment of chains over a user's density; a pure function, by whomever it is called."""

    def __init__(self, config: config.Chains):
        torch.set_num_threads(1)  # the order of a sum must not depend on the machine's number of cores
        self.config = config
        self.support = density.support_of(config)
        self.log_density = density.load(config.target)
        self.free_target = from_log_density(self.support.pull(self.log_density))

    def warm_up(self, seed: int) -> bytes:
        """Where chains start, the metric and the step size, as safetensors."""
        stream, kernel = Stream(seed, 0, "warm-up"), KERNELS[self.config.kernel]
        warm = warm_up(stream, self.free_target, cold_start(stream, NUM_WARM, self.support.free))
        white, target = warm.whitening.pull_state(warm.state), warm.whitening.pull(self.free_target)
        white, step_size = tune(stream, TUNING, white, target, kernel, warm.length)
        tensors = {
            "start": white.x,
            "mean": warm.whitening.mean,
            "factor": warm.whitening.factor,
            "tuned": torch.tensor([step_size, warm.length], dtype=torch.float64),
        }
        return safetensors.numpy.save({name: value.contiguous().numpy() for name, value in tensors.items()})

    def make(
        self,
        program: travel.Program,
        num_chains: int,
        warm: dict[str, np.ndarray],
        block: int,
        segment: int,
        before: dict[str, np.ndarray] | None,
    ) -> Made:
        """One segment of one block, from the state that the segment before it left."""
        whitening = Whitening(torch.from_numpy(warm["mean"]), torch.from_numpy(warm["factor"]))
        leg = self._advanced(program, whitening, torch.from_numpy(warm["start"]), block, segment, before)
        facts = {
            "accepted": int(leg.accepted.sum()),
            "proposed": leg.accepted.numel() * program.thinning,
            "min_accepted": int(leg.accepted.sum(0).min()),
            "proposed_per_chain": len(leg.accepted) * program.thinning,
            "num_nonfinite": leg.num_nonfinite,
        }
        state = {name: value.numpy() for name, value in leg.state._asdict().items()}
        return Made(self._table(leg, program, num_chains, whitening, block), state, facts)

    def _advanced(
        self,
        program: travel.Program,
        whitening: Whitening,
        start: Tensor,
        block: int,
        segment: int,
        before: dict[str, np.ndarray] | None,
    ) -> travel.Leg:
        target = whitening.pull(self.free_target)
        if before is None:
            chains = block * program.block_size + torch.arange(program.block_size)
            return travel.first_leg(program, block, start[chains % len(start)], target)
        loaded = {key: torch.from_numpy(value) for key, value in before.items()}
        return travel.next_leg(program, block, segment, State(**loaded), target)

    def _table(
        self, leg: travel.Leg, program: travel.Program, num_chains: int, whitening: Whitening, block: int
    ) -> pa.Table:
        """One row a kept draw, ordered by draw and chain; the last block drops the chains beyond `num_chains`."""
        first_chain = block * program.block_size
        kept = min(program.block_size, num_chains - first_chain)
        num_draws = len(leg.position)
        z = whitening.from_white(leg.position[:, :kept].reshape(num_draws * kept, -1))
        x, log_det = self.support.constrain(z)
        chain = np.tile(np.arange(first_chain, first_chain + kept, dtype=np.int64), num_draws)
        draw = np.repeat(np.arange(leg.first_draw, leg.first_draw + num_draws, dtype=np.int32), kept)
        return pa.table(
            {
                "chain": chain,
                "superchain": chain % NUM_WARM,
                "draw": draw,
                "position": pa.FixedSizeListArray.from_arrays(x.reshape(-1).numpy(), self.config.dim),
                "log_density": (leg.value[:, :kept].reshape(-1) - log_det).numpy(),
                "accepted": leg.accepted[:, :kept].reshape(-1).numpy(),
            }
        )


@ray.remote(max_restarts=-1, max_task_retries=-1)
class TargetActor(TargetMaker):
    """Advances whatever block of chains it is given against a user's density; keeps nothing between calls."""

    def arrive(self) -> None:
        """Nothing: it returns once the actor is there."""

    def advance(self, job: Job, block: int, segment: int) -> Entry:
        """Make one segment of one block and commit it; one that is there already is left alone."""
        store = SampleStore(job.store)
        entry = store.committed(block, segment)
        if entry is not None:
            return entry
        warm = safetensors.numpy.load(read(open_store(job.store), WARM))
        before = state_before(store, block, segment)
        made = self.make(job.program, job.num_chains, warm, block, segment, before)
        return store.commit(block, segment, made.table, made.state, made.facts | {"hardware": hardware("cpu")})


class _Watcher:
    """Counts committed rows into a progress line."""

    def __init__(self, job: Job):
        self._progress = Progress("sample", job.num_chains * job.program.num_draws, "rows")
        self._progress.update(0)
        self._totals = {"rows": 0, "accepted": 0, "proposed": 0}

    def __call__(self, entry: Entry) -> None:
        made: dict[str, Any] = entry.facts | {"rows": entry.rows}
        self._totals = {key: total + made[key] for key, total in self._totals.items()}
        rate = self._totals["accepted"] / self._totals["proposed"]
        self._progress.update(self._totals["rows"], f"acceptance {rate:.3f}")
