"""Step: draw from a user's own density with a fleet of chains over all of it.

The chains of a block start from points that one warm-up found, so those that share one are a superchain; whatever the
warm-up tuned (metric and step size) is frozen before the first kept draw.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import safetensors.numpy
import torch
from torch import Tensor

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Samples
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.errors import UserError
from scorefleet.tasks.fleet import origin
from scorefleet.tasks.fleet.hardware import made_on
from scorefleet.tasks.fleet.job import Advanced, Job
from scorefleet.tasks.fleet.progress import RowsWatcher
from scorefleet.tasks.fleet.segments import Made, advanced
from scorefleet.tasks.fleet.start import start_fleet
from scorefleet.tasks.fleet.worker import Worker
from scorefleet.tasks.mcmc import target_program
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS, tune
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target, choose
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.targets import from_log_density
from scorefleet.tasks.mcmc.tempering import ladder_warmup, target_ladder
from scorefleet.tasks.mcmc.tempering.evidence import Schedule
from scorefleet.tasks.mcmc.tempering.tempered_exchange import Ladder
from scorefleet.tasks.mcmc.warmup import frozen, rescue, starts
from scorefleet.tasks.mcmc.warmup.warmup import cold_start, look_far, warm_up
from scorefleet.tasks.mcmc.warmup.windows import Tuned
from scorefleet.tasks.records.provenance import provenance
from scorefleet.tasks.sampling import target_log_z
from scorefleet.tasks.store.layout import Layout, draws_per_segment
from scorefleet.tasks.store.manifest import Entry, SampleStore
from scorefleet.tasks.store.objects import exists, open_store, put_if_absent, read
from scorefleet.tasks.user_code import density, inputs, starting_points

NUM_WARM = 64
"""Chains that the warm-up runs, and so superchains."""

WARM = "warm.safetensors"
TUNING, HOME = 100, 101  # phases of the warm-up's stream that the warm-up itself does not use
PROBES = 1 << 16
"""Points a level at which the density is evaluated in search of modes: some 7 % of what draws cost by default."""


def sample_target(config: config.Chains, context: Context) -> Samples:
    """Check the density, warm up, freeze, draw, publish."""
    support = density.support_of(config)
    seen = density.observe(config)
    given = starting_points.read(config.init, config.dim).x if config.init else None
    start = None if given is None else starting_points.to_free(str(config.init), given, support)
    with inputs.complete(seen):
        density.check(config.target, seen.function, support, start)
    store = SampleStore(context.draws)
    inside = open_store(store.uri)
    settings = dataclasses.asdict(config)
    del settings["log_z"]  # which is found beside the draws
    digests = {"target_reads": seen.reads} | init_digest(config)
    begun = origin.origin_of(TargetMaker.__module__, context.seed, settings, digests)
    extents = origin.claim(store.uri, begun, lambda: WARM).extents
    layout = Layout(config.block_size, draws_per_segment(config.block_size), extents)
    num_blocks = max(layout.num_blocks, target_log_z.NUM_POPULATIONS if config.log_z else 1)
    fleet = start_fleet(TargetWorker, (config, seen.reads), context.cluster, num_blocks, Path.cwd())
    if not exists(inside, WARM):
        put_if_absent(inside, WARM, fleet.ask("warm_up", context.seed, given))
    warm = read_warm(store.uri)
    program = program_of(config, context.seed, warm)
    watcher = RowsWatcher("sample", layout.total_rows, _Acceptance())
    entries = fleet.fill(Job(program, layout, store.uri), watcher)
    inputs.require_unchanged(seen)
    volume = frozen.from_arrays(warm).coordinates.log_volume
    found = target_log_z.estimate(fleet, context, store.uri, volume) if config.log_z else None
    fleet.dismiss()
    described = description_of(config, context.seed, program, read(inside, WARM), found)
    kept = origin.described(store.uri, extents)
    digest = store.publish(entries, described | kept | {"files": described["files"] | kept["files"]})
    return Samples(store.uri, digest, config.num_chains * config.num_draws, None, str(context.folder))


def init_digest(config: config.Chains) -> dict[str, str]:
    """Return the digest of the points where chains start, where they were given."""
    digest = starting_points.digest_of(config)
    return {"init_digest": digest} if digest else {}


def key_of(config: config.Chains) -> str:
    """Return what a step's key holds of the density and of the points that were given."""
    return " ".join([density.digest_of(config), *init_digest(config).values()])


def description_of(
    config: config.Chains, seed: int, program: target_program.Program, warm: bytes, found: dict[str, float] | None
) -> dict[str, Any]:
    """What a store says of itself: all that makes its rows again, and what was found of log Z."""
    return provenance(TargetMaker.__module__, seed) | {
        "config": dataclasses.asdict(config),
        "target": config.target,
        "target_digest": density.observed(config).digest,
        "target_reads": density.observed(config).reads,
        **init_digest(config),
        "support": config.support,
        "dim": config.dim,
        "program": dataclasses.asdict(program),
        "num_chains": config.num_chains,
        "is_exact": KERNELS[config.kernel].is_exact,
        "evidence": found,
        "files": {WARM: hashlib.sha256(warm).hexdigest()},
    }


def program_of(config: config.Chains, seed: int, warm: dict[str, np.ndarray]) -> target_program.Program:
    """The program of every block of a store, from the settings and what the warm-up tuned."""
    tuned = frozen.from_arrays(warm)
    settings: dict[str, Any] = {
        "seed": seed,
        "kernel": config.kernel,
        "step_size": tuned.step_size,
        "length": tuned.length,
        "block_size": config.block_size,
        "burn_in": config.burn_in,
        "num_draws": config.num_draws,
        "thinning": config.thinning,
        "draws_per_segment": draws_per_segment(config.block_size),
    }
    if config.num_levels == 1:
        return target_program.Program(**settings)
    levels = (tuple(warm[name].tolist()) for name in ("levels", "step_sizes", "lengths"))
    return target_ladder.Program(**settings, ladder=Ladder(*levels, scale=ladder_warmup.SCALE))


class TargetMaker:
    """Makes any segment of chains over a user's density; a pure function, by whomever it is called."""

    def __init__(self, config: config.Chains):
        torch.set_num_threads(1)  # the order of a sum must not depend on the machine's number of cores
        self.config = config
        self.support = density.support_of(config)
        self.log_density = density.observed(config).function
        self.free_target = from_log_density(self.support.pull(self.log_density))

    def warm_up(self, seed: int, given: np.ndarray | None = None) -> bytes:
        """Where chains start, and what was tuned, as safetensors; from `given` points in the user's coordinates, or
        from where the density is finite.
        """
        stream, kernel = Stream(seed, 0, "warm-up"), KERNELS[self.config.kernel]
        if given is None:
            x = starts.find(stream, self.free_target, cold_start(stream, NUM_WARM, self.support.free))
        else:
            spread = np.arange(NUM_WARM) * len(given) // NUM_WARM
            x = self.support.to_free(torch.from_numpy(given[spread]))
        warm = warm_up(stream, self.free_target, x, self.config.metric)
        coordinates, length = warm.tuned.coordinates, warm.tuned.length
        white, target = coordinates.pull_state(warm.state), coordinates.pull(self.free_target)
        is_home = warm.modes.of(white.x) == 0
        home = rescue.restart(stream.at(HOME, 0), white, ~is_home)
        moved, step_size = tune(stream, TUNING, home, target, self.config.kernel, length)
        start, ladder = choose(is_home, moved, white), {}
        if self.config.num_levels > 1:
            stream, num_levels = Stream(seed, 0, "ladder-warm-up"), self.config.num_levels
            made = ladder_warmup.tune(stream, moved, target, num_levels, kernel, step_size, length)
            hot = State(*(torch.cat(parts) for parts in zip(*made.replicas.states, strict=True)))
            warm = warm._replace(state=coordinates.push_state(start))
            warm = look_far(stream, warm, self.free_target, coordinates.push_state(hot), PROBES * num_levels)
            start = coordinates.pull_state(warm.state)
            ladder = {name: np.array(getattr(made.ladder, name)) for name in ("levels", "step_sizes", "lengths")}
            ladder["start"] = torch.stack([*(state.x for state in made.replicas.states[:-1]), start.x]).numpy()
        found = frozen.to_arrays(warm.tuned._replace(step_size=step_size)) | frozen.modes_to_arrays(warm.modes)
        return safetensors.numpy.save({"start": start.x.numpy()} | found | ladder)

    def make(
        self,
        program: target_program.Program,
        layout: Layout,
        warm: dict[str, np.ndarray],
        block: int,
        segment: int,
        before: dict[str, np.ndarray] | None,
    ) -> Made:
        """One segment of one block, from the state that the segment before it left."""
        tuned, chains = frozen.from_arrays(warm), layout.chains(block)
        draws, kept = layout.draws(block, segment), len(chains)
        leg = self._advanced(program, tuned, torch.from_numpy(warm["start"]), block, draws, before)
        facts = {
            "accepted": int(leg.accepted.sum()),
            "proposed": leg.accepted.numel() * program.thinning,
            "min_accepted": int(leg.accepted[:, :kept].sum(0).min()),
            "proposed_per_chain": len(leg.accepted) * program.thinning,
        }
        state = {name: value.numpy() for name, value in leg.state.items()}
        counts = {name: count[:kept] if name == "round_trips" else count for name, count in leg.counts.items()}
        return Made(self._table(leg, chains, tuned), state, facts | counts)

    def white_target(self, warm: dict[str, np.ndarray]) -> Target:
        """The density in the coordinates that the warm-up learned."""
        return frozen.from_arrays(warm).coordinates.pull(self.free_target)

    def _advanced(
        self,
        program: target_program.Program,
        tuned: Tuned,
        start: Tensor,
        block: int,
        draws: range,
        before: dict[str, np.ndarray] | None,
    ) -> target_program.Leg:
        target = tuned.coordinates.pull(self.free_target)
        is_ladder = isinstance(program, target_ladder.Program)
        moves: Any = target_ladder if is_ladder else target_program
        if before is None:
            chains = block * program.block_size + torch.arange(program.block_size)
            return moves.first_leg(program, block, draws, start[..., chains % NUM_WARM, :], target, tuned.jumps)
        loaded = {key: torch.from_numpy(value) for key, value in before.items()}
        return moves.next_leg(program, block, draws, loaded, target, tuned.jumps)

    def _table(self, leg: target_program.Leg, chains: range, tuned: Tuned) -> pa.Table:
        """One row a kept draw, ordered by draw and chain, of `chains`, the first of their block; the others are
        dropped only after whole blocks have changed coordinates: a matrix product may round the odd rows at its end in
        another way, and no row must depend on how draws are cut into segments.
        """
        num_draws, kept = len(leg.position), len(chains)
        z, bent = tuned.coordinates.from_white(leg.position.flatten(0, 1))
        x, log_det = self.support.constrain(z)
        log_density = (leg.value.flatten() - bent - log_det).reshape(leg.value.shape)
        x = x.reshape(*leg.value.shape, -1)[:, :kept]
        chain = np.tile(np.array(chains, dtype=np.int64), num_draws)
        draw = np.repeat(np.arange(leg.first_draw, leg.first_draw + num_draws, dtype=np.int32), kept)
        return pa.table(
            {
                "chain": chain,
                "superchain": chain % NUM_WARM,
                "draw": draw,
                "position": pa.FixedSizeListArray.from_arrays(x.reshape(-1).numpy(), self.config.dim),
                "log_density": log_density[:, :kept].reshape(-1).numpy(),
                "accepted": leg.accepted[:, :kept].reshape(-1).numpy(),
            }
        )


class TargetWorker(TargetMaker, Worker):
    """Advances whatever block of chains it is given against a user's density; keeps nothing between calls."""

    def __init__(self, config: config.Chains, reads: dict[str, str]):
        """The density must be here what it was where the work began, of which `reads` tells."""
        try:
            super().__init__(config)
            inputs.require_same(density.observed(config), reads)
        except UserError as error:
            self.refusal = error

    def plan(self, seed: int, store: str) -> Schedule:
        """How populations walk to log Z, in the coordinates of a store's warm-up."""
        warm = read_warm(store)
        return target_log_z.planned(seed, self.white_target(warm), self.support.free, frozen.modes_from_arrays(warm))

    def advance(
        self, job: Job[target_program.Program] | target_log_z.EvidenceJob, block: int, segment: int
    ) -> Advanced:
        """Make one segment of one block and commit it; one that is there already is left alone."""

        def make(before: dict[str, np.ndarray] | None) -> Made:
            if isinstance(job, target_log_z.EvidenceJob):
                warm = read_warm(job.draws)
                return Made(*target_log_z.walk(job, block, self.white_target(warm), frozen.modes_from_arrays(warm)))
            return self.make(job.program, job.layout, read_warm(job.store), block, segment, before)

        return advanced(job.store, block, segment, make, made_on("cpu"))


def read_warm(store: str) -> dict[str, np.ndarray]:
    """What the warm-up found and tuned, which lies in the store of the draws."""
    return safetensors.numpy.load(read(open_store(store, writable=False), WARM))


class _Acceptance:
    """Of all proposals of the segments so far."""

    def __init__(self) -> None:
        self._accepted = self._proposed = 0

    def __call__(self, entry: Entry) -> str:
        self._accepted += entry.facts["accepted"]
        self._proposed += entry.facts["proposed"]
        return f"acceptance {self._accepted / self._proposed:.3f}"
