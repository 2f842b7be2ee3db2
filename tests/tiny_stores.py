"""The smallest stores of both kinds, made by the code that fleets run, in this process and in a second."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch

from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.dag.artifacts import Model
from scorefleet.tasks.data.schema import Column, DataSchema
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.fleet.hardware import made_on
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder
from scorefleet.tasks.registry import composing
from scorefleet.tasks.sampling import composition
from scorefleet.tasks.sampling.chain_actor import ChainMaker
from scorefleet.tasks.sampling.sample import description_of, made_from, program_of
from scorefleet.tasks.sampling.sample_target import WARM, TargetMaker
from scorefleet.tasks.sampling.sample_target import description_of as target_description_of
from scorefleet.tasks.sampling.sample_target import program_of as target_program_of
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.extents import Extent, extension_files
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import SampleStore

TARGET = "tests.tiny_density:log_density"
SETTINGS = {"num_chains": 10, "num_draws": 5, "block_size": 4}
DRAWS_PER_SEGMENT = 2
NUM_SEGMENTS = 9
"""Three blocks, the last of two chains, of three segments, the last of one draw."""

Size = tuple[int, int]
"""Chains, and draws of each."""


def model_store(
    folder: Path, composed: commands.Generate | None = None, sizes: Sequence[Size] = (), **changes: Any
) -> SampleStore:
    """Draws from an energy that was never trained, whose weights are random, or from a composition of such. A
    store in this folder that had these `sizes` in turn is extended.
    """
    model = _composition(folder / "model", composed) if composed else _model(folder / "model")
    dim = composition.read_description(Path(model.uri))["dim"]
    chosen = config.Sample(**SETTINGS | {"num_levels": 3, "steps_per_level": 2} | changes)
    ladder = Ladder((2.0, 0.0, -3.0), (0.5, 0.4, 0.3), (1.0, 1.0, 1.0), exchanged=(0, 2))
    program = dataclasses.replace(program_of("draws", chosen, 7, dim, ladder), draws_per_segment=DRAWS_PER_SEGMENT)
    maker, store, layout = (
        ChainMaker(model.uri, "cpu"),
        SampleStore(str(folder / "store")),
        layout_of(program, chosen, sizes),
    )

    def make(block, segment, before):
        return maker.make(program, layout, block, segment, before)

    return _fill(store, layout, make, made_from(model, 7) | description_of(chosen, program, None))


def target_store(folder: Path, target: str = TARGET, sizes: Sequence[Size] = (), **changes: Any) -> SampleStore:
    """Draws from a user's own density. A store in this folder that had these `sizes` in turn is extended."""
    chosen = config.Chains(**SETTINGS | {"target": target, "dim": 2, "burn_in": 3} | changes)
    maker, store = TargetMaker(chosen), SampleStore(str(folder / "store"))
    inside = objects.open_store(store.uri)
    if not objects.exists(inside, WARM):
        objects.put_if_absent(inside, WARM, maker.warm_up(7))
    data = objects.read(inside, WARM)
    warm = safetensors.numpy.load(data)
    program = target_program_of(chosen, 7, warm)
    program = dataclasses.replace(program, draws_per_segment=DRAWS_PER_SEGMENT)
    layout = layout_of(program, chosen, sizes)

    def make(block, segment, before):
        return maker.make(program, layout, warm, block, segment, before)

    return _fill(store, layout, make, target_description_of(chosen, 7, program, data, None))


def layout_of(program: Any, chosen: config.Chains | config.Sample, sizes: Sequence[Size] = ()) -> Layout:
    """Of a store that had these sizes before."""
    extents = tuple(Extent(*size) for size in (*sizes, (chosen.num_chains, chosen.num_draws)))
    return Layout(program.block_size, program.draws_per_segment, extents)


def _fill(store, layout, make, description):
    files = extension_files(layout.extents)
    for path, data in files.items():
        objects.put_if_absent(objects.open_store(store.uri), path, data)
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    more = {"extents": layout.extents, "files": description.get("files", {}) | digests}
    store.publish([_entry(store, make, *place) for place in layout.places()], description | more)
    return store


def _entry(store, make, block, segment):
    entry = store.committed(block, segment)
    if entry is not None:
        return entry
    made = make(block, segment, store.state_before(block, segment))
    return store.commit(block, segment, made.table, made.state, made.facts | made_on("cpu"))


def _composition(folder: Path, composed: commands.Generate) -> Model:
    for part in composing.parts_of(composed, folder):
        _model(part)
    return composing.publish(composed, folder)


def _model(folder: Path) -> Model:
    random = np.random.default_rng(0)
    network = models.build(3, "scalar_head", 8, 1)
    for weight in network.parameters():
        weight.data = torch.from_numpy(random.normal(0, 0.2, weight.shape)).to(weight.dtype)
    description = {"dim": 3, "energy": "scalar_head", "width": 8, "num_blocks": 1, "num_conditions": 0}
    description["data_digest"] = "0" * 64
    columns = [Column(name, "float32", (), (1.0,), 2.0, -9.0, 9.0, False) for name in "abc"]
    for name, data in models.to_files(network, description).items():
        objects.replace(folder, name, data)
    objects.replace(folder, "schema.json", DataSchema(tuple(columns)).to_json().encode())
    return Model(str(folder), models.digest(folder))
