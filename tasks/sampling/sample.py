"""Step 3: draw with a fleet of chains, and again with a ladder of twice the steps, which the verdict compares."""

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Model, Samples
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.ebm import noise
from scorefleet.tasks.ebm.model import is_score_only
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.fleet import origin
from scorefleet.tasks.fleet.capacity import MODEL_ITEM_BYTES, require_room
from scorefleet.tasks.fleet.fleet import Fleet
from scorefleet.tasks.fleet.job import Job
from scorefleet.tasks.fleet.progress import RowsWatcher
from scorefleet.tasks.fleet.start import start_fleet
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder, Tuning
from scorefleet.tasks.mcmc.noise_ladder.program import Program
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.records.provenance import digest_of, provenance
from scorefleet.tasks.sampling.chain_actor import ChainMaker, ChainWorker
from scorefleet.tasks.sampling.descent import lowest_noise
from scorefleet.tasks.sampling.draws import summarise_exchange, summarise_levels
from scorefleet.tasks.store.layout import Layout, draws_per_segment
from scorefleet.tasks.store.manifest import Entry, SampleStore
from scorefleet.tasks.store.objects import exists, open_store, put_if_absent, read

TUNING_STEPS = 16

NUM_WALKERS, NUM_WALKER_DRAWS = 12, 100


@dataclass(frozen=True)
class Run:
    """What one store needs beside its own settings."""

    context: Context
    fleet: Fleet
    dim: int
    made_from: dict[str, Any]


def sample(config: config.Sample, context: Context, model: Model) -> Samples:
    """Tune, freeze, draw, publish; then the same with the control ladder, for as many chains as the verdict needs."""
    config = completed(config, Path(model.uri))
    context.resolve("sample", config)
    dim = json.loads((Path(model.uri) / "model.json").read_bytes())["dim"]
    require_room(config, dim, MODEL_ITEM_BYTES, context.draws, context.cluster.address is None)
    num_blocks = math.ceil(max(config.num_chains, config.num_control_chains) / config.block_size)
    fleet = start_fleet(ChainWorker, (model.uri,), context.cluster, num_blocks)
    run = Run(context, fleet, dim, made_from(model, context.seed))
    draws, program, digest = _fill("draws", context.draws, config, run)
    _show(program, run)
    twice = dataclasses.replace(
        config,
        num_levels=2 * config.num_levels - 1,
        exchange_rounds=2 * config.exchange_rounds,
        num_chains=min(config.num_chains, config.num_control_chains),
        num_draws=1,
    )
    control, *_ = _fill("control", str(context.folder / "control"), twice, run)
    fleet.dismiss()
    return Samples(draws.uri, digest, config.num_chains * config.num_draws, control.uri, str(context.folder))


def completed(config: config.Sample, model: Path) -> config.Sample:
    """The configuration with what was left out: the lowest noise by what the data are, the acceptance by the kernel."""
    has_density = not is_score_only(json.loads((model / "model.json").read_bytes()))
    kernel = config.kernel or ("mala" if has_density else "line_integral_simpson")
    require_kernel(config, has_density)
    return dataclasses.replace(
        config,
        kernel=kernel,
        lowest_noise=lowest_noise(config.lowest_noise, read_schema(model)),
        target_acceptance=config.target_acceptance or KERNELS[kernel].target_acceptance,
    )


def require_kernel(config: config.Sample, has_density: bool) -> None:
    """Refuse chains that need a density where the model has none."""
    if not has_density and config.kernel and KERNELS[config.kernel].needs_value:
        allowed = ", ".join(name for name, kernel in KERNELS.items() if not kernel.needs_value)
        raise UsageError(f"sample.kernel must be one of {allowed} for a score-only model, but got {config.kernel!r}")
    if not has_density and config.exchange_rounds:
        raise UsageError(
            f"sample.exchange_rounds must be 0 for a score-only model, whose levels have no densities, but got "
            f"{config.exchange_rounds}"
        )


def _fill(name: str, place: str, config: config.Sample, run: Run) -> tuple[SampleStore, Program, str]:
    """One store, from tuning to publication, with the digest of its rows; `<name>-ladder.json` beside it says how its
    levels went.
    """
    beside = open_store(str(run.context.folder))
    made_by = {key: run.made_from[key] for key in ("model_digest", "schema_digest")}
    settings = dataclasses.asdict(config)
    del settings["num_control_chains"]  # of another store
    begun = origin.origin_of(ChainMaker.__module__, run.context.seed, settings, made_by)
    claimed = origin.claim(place, begun, lambda: dataclasses.asdict(_tune(name, config, run)))
    ladder = _claimed_ladder(place, claimed.tuned)
    program = program_of(name, config, run.context.seed, run.dim, ladder)
    store = SampleStore(place)
    job = Job(program, Layout(program.block_size, program.draws_per_segment, claimed.extents), store.uri)
    entries = run.fleet.fill(job, RowsWatcher(name, job.layout.total_rows, _Acceptance()))
    levels = summarise_levels(program, (entry.facts["levels"] for entry in entries if entry.segment == 0))
    exchange = _exchange_of(program, entries) if program.exchange_rounds else None
    made = {
        "levels": levels,
        "exchange": exchange,
        "num_chains": config.num_chains,
        "target_acceptance": config.target_acceptance,
        "temperature": config.temperature,
        "gradients_per_chain": sum(entry.facts["num_gradients"] for entry in entries) / job.num_blocks,
    }
    put_if_absent(beside, f"{name}-ladder.json", json.dumps(made, indent=2).encode())
    described = description_of(config, program, exchange) | origin.described(place, claimed.extents)
    return store, program, store.publish(entries, run.made_from | described)


def _exchange_of(program: Program, entries: Iterable[Entry]) -> dict[str, Any]:
    """What all rounds of exchange did; entries are in the order of block and segment."""
    blocks = groupby(entries, lambda entry: entry.block)
    return summarise_exchange(program, ([entry.facts["exchange"] for entry in block] for _, block in blocks))


def _show(program: Program, run: Run) -> None:
    """A few chains that the report draws: `path.arrow` down the ladder, `trace.arrow` at its foot."""
    few = dataclasses.replace(
        program,
        purpose="show",
        exchange_rounds=0,  # what a chain does by itself
        block_size=NUM_WALKERS,
        num_draws=2 * NUM_WALKER_DRAWS,
        draws_per_segment=NUM_WALKER_DRAWS,
    )
    path, trace = run.fleet.ask("walk", few)
    beside = open_store(str(run.context.folder))
    put_if_absent(beside, "path.arrow", _ipc(path))
    put_if_absent(beside, "trace.arrow", _ipc(trace))


def _tune(name: str, config: config.Sample, run: Run) -> Ladder:
    """The frozen ladder: found once, kept beside the store, read back by every later run of this step."""
    path = f"{name}-tuning.json"
    beside = open_store(str(run.context.folder))
    if exists(beside, path):
        return _read_ladder(json.loads(read(beside, path)))
    assert config.lowest_noise is not None
    assert config.target_acceptance is not None
    assert config.kernel is not None
    levels = noise.ladder(config.num_levels, noise.logit_beta_of(config.lowest_noise))
    tuning = Tuning(
        config.block_size,
        TUNING_STEPS,
        config.target_acceptance,
        config.temperature,
        config.kernel,
        config.exchange_rounds > 0,
    )
    stream = Stream(run.context.seed, 0, f"{name}-tuning")
    tuned: Ladder = run.fleet.ask("tune", stream, tuple(levels.tolist()), tuning)
    put_if_absent(beside, path, json.dumps(dataclasses.asdict(tuned)).encode())
    return _read_ladder(json.loads(read(beside, path)))


def _claimed_ladder(place: str, tuned: Any) -> Ladder:
    """The ladder of a store, which a file says that anyone may have written."""
    try:
        return _read_ladder(tuned)
    except (KeyError, TypeError) as error:
        raise origin.damaged(place) from error


def _read_ladder(kept: dict[str, Any]) -> Ladder:
    lists = {key: tuple(kept[key]) for key in ("levels", "step_sizes", "score_norms", "exchanged")}
    return Ladder(**lists, temperature=kept["temperature"], kernel=kept["kernel"])


def made_from(model: Model, seed: int) -> dict[str, Any]:
    """What all stores of a model say of where they come from."""
    folder = Path(model.uri)
    return provenance(ChainMaker.__module__, seed) | {
        "model": model.uri,
        "model_digest": model.digest,
        "schema_digest": digest_of(folder / "schema.json"),
        "data_digest": json.loads((folder / "model.json").read_bytes())["data_digest"],
    }


def description_of(config: config.Sample, program: Program, exchange: dict[str, Any] | None) -> dict[str, Any]:
    """What one store of a model says of itself: with `made_from`, all that makes its rows again."""
    kernel = KERNELS[program.ladder.kernel]
    return {
        "program": dataclasses.asdict(program),
        "num_chains": config.num_chains,
        "config": dataclasses.asdict(config),
        "kernel": program.ladder.kernel,
        "is_exact": kernel.is_exact,
        "flaw": kernel.flaw,
        "exchange": exchange,
    }


def program_of(purpose: str, config: config.Sample, seed: int, dim: int, ladder: Ladder) -> Program:
    """The program of every block of a store."""
    return Program(
        seed=seed,
        purpose=purpose,
        ladder=ladder,
        steps_per_level=config.steps_per_level,
        block_size=config.block_size,
        dim=dim,
        num_draws=config.num_draws,
        thinning=config.thinning,
        draws_per_segment=draws_per_segment(config.block_size),
        exchange_rounds=config.exchange_rounds,
    )


class _Acceptance:
    """Of the levels of the last block that came down them: the least and the largest."""

    said = ""

    def __call__(self, entry: Entry) -> str:
        rates = [level["probability"] / level["proposed"] for level in entry.facts["levels"]]
        if rates:
            self.said = f"acceptance {min(rates):.3f} to {max(rates):.3f}"
        return self.said


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
