"""Step 2: fit the energy, by denoising score matching or another objective: data-parallel with Ray Train, or in this
process. `tasks.training.steps` has the loop.
"""

import dataclasses
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import safetensors.torch

from scorefleet.tasks import config
from scorefleet.tasks.config.train import UNWARPED
from scorefleet.tasks.dag.artifacts import Champion, Dataset, Model
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.ebm import checkpoint, model
from scorefleet.tasks.ebm.augment import NUM_WARPS
from scorefleet.tasks.ebm.defaults import choose
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.store.objects import open_store, put_if_absent
from scorefleet.tasks.training.steps import untrained
from scorefleet.tasks.user_code.known_score import scores_of_rows

KNOWN = "known.safetensors"


def train(config: config.Train, context: Context, dataset: Dataset, start: Champion | None = None) -> Model:
    """Train until the last step, from the weights of `start` if there is one; keep the weights' moving average."""
    config = _completed(_like(config, start), dataset)
    context.resolve("train", config)
    known = _known(config, context.folder, dataset)
    architecture = {
        "dim": dataset.dim,
        **{key: getattr(config, key) for key in ("energy", "width", "num_blocks")},
        "num_conditions": NUM_WARPS if config.augmentation else 0,
    }
    _require_same(architecture, start)
    settings = {
        "config": config,
        "architecture": architecture,
        "data": dataset.uri,
        "known": known,
        "seed": context.seed,
        "start": start and start.uri,
    }
    way = "in_process" if context.cluster.num_actors == 0 else "ray_trainer"  # which alone needs Ray
    found: bytes | int = import_module(f"scorefleet.tasks.training.{way}").fit(config, context, settings)
    if isinstance(found, int):
        raise UsageError(
            f"training diverged before step {found:,} (weights are NaN or infinite); "
            f"lower train.learning_rate (now {config.learning_rate:g})"
        )
    description = {
        **architecture,
        "seed": context.seed,
        "data_digest": dataset.digest,
        "train": dataclasses.asdict(config),
    }
    return _publish(context.folder, found, config, description, Path(dataset.uri) / "schema.json")


def _like(config: config.Train, start: Champion | None) -> config.Train:
    """What was left out of the network's form is that of the weights to start from, however many rows there are now."""
    if start is None:
        return config
    found = json.loads((Path(start.uri) / "model.json").read_bytes())
    return dataclasses.replace(config, energy=config.energy or found["energy"], width=config.width or found["width"])


def _require_same(architecture: dict[str, Any], start: Champion | None) -> None:
    """Weights fit a network of their own form alone."""
    found = json.loads((Path(start.uri) / "model.json").read_bytes()) if start else architecture
    for key, value in architecture.items():
        if found[key] != value:
            raise UsageError(
                f"the network's {key} is {value} here and {found[key]} in {start and start.model_uri}, from which "
                "retrain.warm_steps would start: make it the same, or leave retrain.warm_steps out"
            )


def _completed(config: config.Train, dataset: Dataset) -> config.Train:
    """The configuration with every key that was left out chosen from the data."""
    shape = read_schema(Path(dataset.uri)).shape
    if config.augmentation and len(shape or ()) != 2:
        raise UsageError(f"train.augmentation warps images (arrays of two axes); set it to 0 for rows of shape {shape}")
    choice = choose(dataset.num_rows["train"], shape)
    left_out = {key: value for key, value in dataclasses.asdict(choice).items() if getattr(config, key) is None}
    if config.objective in UNWARPED:
        left_out["augmentation"] = 0.0
    if config.energy == "score_only":
        left_out["time_score_weight"] = 0.0
    return dataclasses.replace(config, **left_out)


def _known(config: config.Train, folder: Path, dataset: Dataset) -> str | None:
    """The file of the known scores of the training rows: user code runs here, once, and not in the workers."""
    if config.known_score is None:
        return None
    known = {"score": scores_of_rows(config.known_score, Path(dataset.uri))}
    put_if_absent(open_store(str(folder)), KNOWN, safetensors.torch.save(known))
    return str(folder / KNOWN)


def _publish(folder: Path, last: bytes, config: config.Train, description: dict[str, Any], schema: Path) -> Model:
    """The files of a model, and the schema of its data beside them, so that draws can be read without the data."""
    network, average, optimizer = untrained(config, description, "cpu")
    step = checkpoint.unpack(last, network, average, optimizer)
    assert step == config.num_steps
    files = model.to_files(average.module, description)
    store = open_store(str(folder))
    for name, data in {**files, "schema.json": schema.read_bytes()}.items():
        put_if_absent(store, name, data)
    return Model(str(folder), model.digest(folder))
