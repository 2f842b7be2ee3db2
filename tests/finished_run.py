"""The files that a run leaves before it is judged, with noised real rows for draws: made in a second, without
training.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Dataset, Evaluation, Model, Normaliser, Samples
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.prepare import prepare, read_split
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.ebm import noise
from scorefleet.tasks.judging.evaluate import evaluate
from scorefleet.tasks.records.tracking import Journal
from scorefleet.tasks.sampling.draws import vectors
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.manifest import SampleStore

NUM_STEPS = 10
EXCHANGE = {
    "levels": [0, 8, 16, 23],
    "rounds": 40,
    "acceptance": [0.57, 0.58, 0.56, 0.57],
    "swap_rate": [0.61, 0.44, 0.52],
    "round_trips_per_chain": 1.25,
}


class FinishedRun(NamedTuple):
    root: Path
    dataset: Dataset
    model: Model
    samples: Samples
    normaliser: Normaliser

    def context(self, step: str) -> Context:
        folder = self.root / step / "0123456789abcdef"
        folder.mkdir(parents=True, exist_ok=True)
        journal = Journal(self.root / "journal" / "0123456789abcdef.jsonl")
        return Context("0" * 64, folder, "digits", 0, self.root, config.Cluster(), journal)

    def evaluate(self) -> Evaluation:
        return evaluate(config.Evaluate(), self.context("evaluate"), *self[1:])


def finish(
    root: Path,
    data="sklearn:digits",
    num_chains=256,
    num_draws=1,
    blur=0.3,
    control_blur=None,
    num_levels=24,
    num_stuck=0,
    exchange=None,
) -> FinishedRun:
    """A run whose draws are training rows with `blur` noise; those of the control ladder may have another."""
    unfinished = FinishedRun(root, None, None, None, None)
    dataset = prepare(config.Prepare(data), unfinished.context("prepare"))
    model = _model(unfinished.context("train").folder, dataset)
    folder = unfinished.context("sample").folder
    levels = noise.ladder(num_levels, noise.logit_beta_of(0.05)).tolist()
    schema = read_schema(Path(dataset.uri))
    train = schema.encode(read_split(Path(dataset.uri), "train"))
    stores = {}
    for seed, (name, sd) in enumerate((("draws", blur), ("control", blur if control_blur is None else control_blur))):
        random = np.random.default_rng(seed)
        x = train[random.integers(len(train), size=num_chains)]
        clean = (x + sd * random.standard_normal(x.shape)).astype(np.float32)
        stores[name] = _store(folder / name, clean, schema, 1 if name == "control" else num_draws, levels, random)
        ladder = {
            "levels": _levels(levels, num_stuck),
            "num_chains": num_chains,
            "exchange": exchange if name == "draws" else None,
            "target_acceptance": 0.574,
            "temperature": 1.0,
        }
        objects.replace(folder, f"{name}-ladder.json", json.dumps(ladder | {"gradients_per_chain": 264}).encode())
        if name == "draws":
            objects.replace(folder, "path.arrow", _path(clean[:12], levels, random))
            objects.replace(folder, "trace.arrow", _trace(clean[:12], random))
    for step in ("prepare", "train", "sample"):
        manifest = {"step": step, "seconds": 12.3, "peak_bytes": 2**30}
        objects.replace(unfinished.context(step).folder, "manifest.json", json.dumps(manifest).encode())
    description = stores["draws"].description()
    samples = Samples(
        stores["draws"].uri, description["digest"], description["num_rows"], stores["control"].uri, str(folder)
    )
    logs = tuple((0.1 * np.random.default_rng(2).standard_normal(16)).tolist())
    normaliser = Normaliser(str(root / "normalise"), levels[-1], 1.0, logs, logs)
    return FinishedRun(root, dataset, model, samples, normaliser)


def _model(folder: Path, dataset: Dataset) -> Model:
    torch.manual_seed(0)
    architecture = {"dim": dataset.dim, "energy": "inner_product", "width": 32, "num_blocks": 1, "num_conditions": 0}
    description = architecture | {"data_digest": dataset.digest, "seed": 0, "train": {"num_steps": 10_000}}
    files = models.to_files(models.build(**architecture), description)
    for name, data in files.items():
        objects.replace(folder, name, data)
    return Model(str(folder), models.digest(folder))


def _store(folder: Path, clean, schema, num_draws, levels, random) -> SampleStore:
    num_chains, dim = clean.shape
    chain, draw = (
        np.tile(np.arange(num_chains), num_draws),
        np.repeat(np.arange(num_draws, dtype=np.int32), num_chains),
    )
    position = np.tile(clean, (num_draws, 1)) + 0.05 * random.standard_normal((num_chains * num_draws, dim))
    columns = {
        "chain": chain,
        "superchain": chain,
        "draw": draw,
        "position": vectors(torch.from_numpy(position.astype(np.float32))),
        "log_density": (60 - 0.5 * np.square(position).sum(1)).astype(np.float32),
        "log_weight": np.tile(random.standard_normal(num_chains).astype(np.float32) + 3, num_draws),
        "accepted": random.binomial(NUM_STEPS, 0.57, num_chains * num_draws).astype(np.int32),
    }
    store = SampleStore(str(folder))
    table = pa.table(schema.decode(np.tile(clean, (num_draws, 1))) | columns)
    entry = store.commit(0, 0, table, {"x": position}, {"num_nonfinite": 0})
    ladder = {"levels": levels, "step_sizes": [0.1] * len(levels), "score_norms": [1.0] * len(levels)}
    program = {"ladder": ladder, "steps_per_level": NUM_STEPS, "num_draws": num_draws, "thinning": 10}
    program |= {"block_size": num_chains, "draws_per_segment": num_draws}
    versions = {"python": "3.11", "torch": "2.13"}
    provenance = {
        "model_digest": hashlib.sha256(b"").hexdigest(),
        "data_digest": "1" * 64,
        "seed": 0,
        "versions": versions,
    }
    store.publish(
        [entry], provenance | {"program": program, "num_chains": num_chains, "kernel": "mala", "is_exact": True}
    )
    return store


def _levels(levels, num_stuck):
    acceptance = 0.574 + 0.02 * np.sin(np.arange(len(levels)))
    return [
        {
            "logit_beta": t,
            "beta": float(1 / (1 + np.exp(-t))),
            "step_size": float(0.6 / (1 + np.exp(-t))),
            "acceptance": float(a),
            "min_chain_acceptance": 0.2,
            "num_nonfinite": 0,
            "num_stuck": num_stuck,
        }
        for t, a in zip(levels, acceptance, strict=True)
    ]


def _path(clean, levels, random) -> bytes:
    beta = 1 / (1 + np.exp(-np.array(levels)))[:, None, None]
    x = np.sqrt(1 - beta) * clean + np.sqrt(beta) * random.standard_normal((len(levels), *clean.shape))
    return _ipc(
        {
            "level": np.repeat(np.arange(len(levels), dtype=np.int32), len(clean)),
            "chain": np.tile(np.arange(len(clean), dtype=np.int32), len(levels)),
            "position": vectors(torch.from_numpy(x.reshape(-1, clean.shape[1]).astype(np.float32))),
            "log_density": (-0.5 * np.square(x).sum(2)).reshape(-1).astype(np.float32),
        }
    )


def _trace(clean, random, num_draws=100) -> bytes:
    x = clean + 0.05 * random.standard_normal((num_draws, *clean.shape))
    return _ipc(
        {
            "draw": np.repeat(np.arange(num_draws, dtype=np.int32), len(clean)),
            "chain": np.tile(np.arange(len(clean), dtype=np.int32), num_draws),
            "position": vectors(torch.from_numpy(x.reshape(-1, clean.shape[1]).astype(np.float32))),
            "log_density": (60 - 0.5 * np.square(x).sum(2)).reshape(-1).astype(np.float32),
        }
    )


def _ipc(columns) -> bytes:
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
