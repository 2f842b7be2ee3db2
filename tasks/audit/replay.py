"""Makes any segment of a published store again, by the code that made it, and compares.

All it needs is the store, and the model's folder or the module of the user's density or classifier, whose digests must
be those that the store records. The rows can only be the same where code, libraries, compiler and the kind of hardware
are.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scorefleet.tasks import config
from scorefleet.tasks.audit.differences import first_difference
from scorefleet.tasks.audit.rebuild import rebuild
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.fleet.hardware import device_like, made_on
from scorefleet.tasks.fleet.origin import DECIDING, MOST_NAMED
from scorefleet.tasks.fleet.segments import Made
from scorefleet.tasks.mcmc import target_program
from scorefleet.tasks.mcmc.noise_ladder import program as programs
from scorefleet.tasks.mcmc.tempering import target_ladder
from scorefleet.tasks.records.provenance import code_digest, digest_of, versions
from scorefleet.tasks.sampling import composition
from scorefleet.tasks.sampling.chain_actor import ChainMaker
from scorefleet.tasks.sampling.sample_target import WARM, TargetMaker
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.entry import Entry
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import DATASET, from_safetensors, to_safetensors
from scorefleet.tasks.store.places import folder_of
from scorefleet.tasks.store.proven import read_description, read_entries
from scorefleet.tasks.store.shards import logical_digest, to_parquet
from scorefleet.tasks.store.verify import check_rows
from scorefleet.tasks.user_code import density, reads, sources, starting_points

Make = Callable[[int, int, dict[str, np.ndarray] | None], Made]
AS_IT_WAS = "run this where that is as it was"


@dataclass(frozen=True)
class Source:
    """A store, and what makes its segments again."""

    uri: str
    description: dict[str, Any]
    entries: dict[tuple[int, int], Entry]
    make: Make

    def remake(self, entry: Entry) -> Made:
        """A segment again, from the recorded state before it; `StorageError` when that is not whole."""
        return self.make(entry.block, entry.segment, self._state_before(entry))

    def _state_before(self, entry: Entry) -> dict[str, np.ndarray] | None:
        if entry.segment == 0:
            return None
        previous = self.entries[entry.block, entry.segment - 1]
        data = objects.read(objects.open_store(self.uri, writable=False), previous.state_path)
        if hashlib.sha256(data).hexdigest() != previous.state_sha256:
            raise StorageError(f"{previous.state_path} is damaged, and {entry.name} goes on from it: repair the store")
        return from_safetensors(previous.state_path, data)


@dataclass(frozen=True)
class Replay:
    """What a segment made again is beside what is recorded: no `reasons` where it is the same.

    `has_equal_bytes` is None where pyarrow has another version than the one that wrote the shard.
    """

    entry: Entry
    reasons: tuple[str, ...]
    has_equal_bytes: bool | None
    changes: tuple[str, ...]


def open_source(uri: str, model: str | None) -> Source:
    """A store that can be replayed; `model` is the folder of its model where that has moved."""
    store = objects.open_store(uri, writable=False)
    description = read_description(store)
    entries = {(entry.block, entry.segment): entry for entry in read_entries(store, description)}
    if "target" in description:
        return Source(uri, description, entries, _target_make(uri, description))
    if "model_digest" in description:
        return Source(uri, description, entries, _model_make(description, next(iter(entries.values())), model))
    raise StorageError(f"{uri} does not say what drew its rows: it cannot be replayed")


def replay(source: Source, block: int, segment: int) -> Replay:
    """Make a segment again and compare its rows, the state after them, its facts, and its bytes where that can be."""
    entry = source.entries.get((block, segment))
    if entry is None:
        last = max(source.entries)
        raise UsageError(f"there is no block {block} segment {segment}: the last is block {last[0]} segment {last[1]}")
    made, reasons = source.remake(entry), []
    stored = _stored(source, entry)
    if isinstance(stored, str):
        reasons.append(stored)
    if logical_digest(made.table) != entry.digest:
        reasons.append(f"rows differ: {_where(stored, made.table)}")
    if _sha256(to_safetensors(made.state)) != entry.state_sha256:
        reasons.append("the chain state after the rows differs")
    wrong = [name for name, value in made.facts.items() if value != entry.facts.get(name)]
    if wrong:
        reasons.append(f"facts differ: {', '.join(wrong)}")
    changes = changes_since(source.description, entry)
    is_comparable = not any(change.startswith("pyarrow") for change in changes)
    has_equal_bytes = _sha256(to_parquet(made.table)) == entry.sha256 if is_comparable else None
    if has_equal_bytes is False and not reasons:
        reasons.append("rows are the same, and the bytes of their file are not")
    return Replay(entry, tuple(reasons), has_equal_bytes, changes)


def changes_since(description: dict[str, Any], entry: Entry | None) -> tuple[str, ...]:
    """What is other here than where the rows were made, so that they may come out otherwise: one phrase each."""
    module = TargetMaker.__module__ if "target" in description else ChainMaker.__module__
    then: dict[str, Any] = description.get("versions", {}) | {"code": description.get("code_digest")}
    now: dict[str, Any] = versions() | {"code": code_digest(module)}
    names = (*DECIDING, "code")
    if entry is not None:
        here = made_on(device_like(str(entry.facts.get("hardware"))))
        then |= {name: entry.facts.get(name, "unknown") for name in here}
        now |= here
        names += tuple(here)
    return tuple(
        f"{name} is {str(now[name])[:60]} and was {str(then.get(name))[:60]}"
        for name in names
        if now[name] != then.get(name)
    )


def _stored(source: Source, entry: Entry) -> pa.Table | str:
    """The rows that the store has, or why they are not those that were written."""
    try:
        data = objects.read(objects.open_store(source.uri, writable=False), entry.path)
        return check_rows(data, entry, Layout.of(source.description))
    except StorageError as error:
        return f"the stored shard is not what was written: {error}"


def _where(stored: pa.Table | str, table: pa.Table) -> str:
    """The first difference to the stored rows."""
    return "the logical digest is not the recorded one" if isinstance(stored, str) else first_difference(stored, table)


def _model_make(description: dict[str, Any], entry: Entry, model: str | None) -> Make:
    folder = folder_of(model or str(description.get("model")))
    _require_same_model(folder, description)
    program = rebuild(programs.Program, description.get("program"), f"program of {DATASET}")
    maker = ChainMaker(str(folder), device_like(str(entry.facts.get("hardware"))))
    layout = Layout.of(description)
    return lambda block, segment, before: maker.make(program, layout, block, segment, before)


def _require_same_model(folder: Path, description: dict[str, Any]) -> None:
    """A model; or a composition, whose own digest vouches for those of its parts and of its classifier's sources."""
    remedy = "give the right one with --model FOLDER"
    _require_files(folder, ("model.json", "schema.json"))
    found = {"model_digest": composition.digest(folder), "schema_digest": digest_of(folder / "schema.json")}
    _require_same(found, description, f"the model in {folder}", remedy)
    described = composition.read_description(folder)
    for part in described.get("parts", ()):
        inner = folder / part["folder"]
        _require_files(inner, (*models.FILES, "schema.json"))
        found = {"digest": models.digest(inner), "schema_digest": digest_of(inner / "schema.json")}
        _require_same(found, part, f"the model in {inner}", remedy)
    named = described.get("classifier")
    if named:
        sources.find_from_here()
        _require_none(named["function"], reads.changes(named["reads"]))


def _require_files(folder: Path, names: tuple[str, ...]) -> None:
    if not all((folder / name).is_file() for name in names):
        raise UsageError(f"there is no model in {folder}: say where it is with --model FOLDER")


def _target_make(uri: str, description: dict[str, Any]) -> Make:
    maker = _target_maker(description)
    described = description.get("program")
    kind = target_ladder.Program if isinstance(described, dict) and "ladder" in described else target_program.Program
    program = rebuild(kind, described, f"program of {DATASET}")
    data = objects.read(objects.open_store(uri, writable=False), WARM)
    if _sha256(data) != description["files"].get(WARM):
        raise StorageError(f"{WARM} is damaged: its sha256 is not the recorded one, repair the store")
    warm = from_safetensors(WARM, data)
    layout = Layout.of(description)
    return lambda block, segment, before: maker.make(program, layout, warm, block, segment, before)


def warm_up_again(description: dict[str, Any]) -> bytes:
    """What the chains of a user's density started from, as safetensors."""
    maker = _target_maker(description)
    init, dim = maker.config.init, maker.config.dim
    if init is None:
        return maker.warm_up(description["seed"])
    given = starting_points.read(init, dim)
    _require_same({"init_digest": given.digest}, description, f"--init {init}", AS_IT_WAS)
    return maker.warm_up(description["seed"], given.x)


def _target_maker(description: dict[str, Any]) -> TargetMaker:
    chains = rebuild(config.Chains, description.get("config"), f"config of {DATASET}")
    then = description.get("target_reads")
    if not reads.is_valid(then):
        raise StorageError(f"{DATASET} does not hold what {chains.target} read: it cannot be replayed")
    sources.find_from_here()
    _require_none(chains.target, reads.changes(then))  # before any of it runs
    now = density.observe(chains).reads
    _require_none(chains.target, [reads.difference(key, then, now) for key in now if now[key] != then.get(key)])
    return TargetMaker(chains)


def _require_none(name: str, changes: list[str]) -> None:
    """Names the sources and files of a user's function that are others now."""
    if changes:
        raise UsageError(f"{name} is not what drew the rows: {'; '.join(changes[:MOST_NAMED])}: {AS_IT_WAS}")


def _require_same(found: dict[str, str], description: dict[str, Any], what: str, remedy: str) -> None:
    for name, digest in found.items():
        if digest != description.get(name):
            raise UsageError(
                f"{what} has another {name}, {digest[:12]} for {str(description.get(name))[:12]}: {remedy}"
            )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
