"""Step 2: fit the energy, by denoising score matching or another objective, data-parallel with Ray Train.

`tasks.training.worker` has the loop. Workers that are lost are started anew, as many as the cluster has room for
within `train.num_workers`, and go on from the last checkpoint.
"""

import dataclasses
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
from ray.exceptions import RayActorError
from ray.train import (
    Checkpoint,
    CheckpointConfig,
    ControllerError,
    FailureConfig,
    Result,
    RunConfig,
    ScalingConfig,
    WorkerGroupError,
)
from ray.train.torch import TorchTrainer

from scorefleet.tasks import config
from scorefleet.tasks.config.train import UNWARPED
from scorefleet.tasks.dag.artifacts import CHECKPOINTS, Champion, Dataset, Model
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.ebm import checkpoint, model
from scorefleet.tasks.ebm.augment import NUM_WARPS
from scorefleet.tasks.ebm.defaults import choose
from scorefleet.tasks.errors import ServiceError, UsageError
from scorefleet.tasks.fleet import cluster
from scorefleet.tasks.store.objects import open_store, put_if_absent
from scorefleet.tasks.training.sockets import OwnAddress
from scorefleet.tasks.training.watch import Watch, mailbox_here
from scorefleet.tasks.training.worker import CHECKPOINT, train_worker, untrained
from scorefleet.tasks.user_code.known_score import scores_of_rows

KNOWN = "known.safetensors"
MAX_FAILURES = 8
LOOK_EVERY_S = 30.0
"""Between two looks whether more workers would have room; each time that they have, all start anew."""
GRACE_S = 20.0
"""How long after its deadline a node may be seen to be gone, before workers start anew on those that are seen."""


def train(config: config.Train, context: Context, dataset: Dataset, start: Champion | None = None) -> Model:
    """Train until the last step, from the weights of `start` if there is one; keep the weights' moving average."""
    config = _completed(_like(config, start), dataset)
    context.resolve("train", config)
    known = _known(config, context.folder, dataset)
    cluster.connect(context.cluster)
    require_room = partial(cluster.require_cpus, config.workers[0], "train.num_workers")
    require_room()
    architecture = {
        "dim": dataset.dim,
        **{key: getattr(config, key) for key in ("energy", "width", "num_blocks")},
        "num_conditions": NUM_WARPS if config.augmentation else 0,
    }
    _require_same(architecture, start)
    mailbox = mailbox_here()
    settings = {
        "config": config,
        "architecture": architecture,
        "data": dataset.uri,
        "known": known,
        "seed": context.seed,
        "mailbox": mailbox,
        "start": start and start.uri,
    }
    assert config.num_steps is not None
    with Watch(mailbox, "train", config.num_steps, "steps", context.journal, require_room), interruptible():
        result = _fitted(_trainer(config, context, settings))
    if result.return_value is not None:
        raise UsageError(
            f"training diverged before step {result.return_value:,} (weights are NaN or infinite); "
            f"lower train.learning_rate (now {config.learning_rate:g})"
        )
    assert result.checkpoint is not None
    description = {
        **architecture,
        "seed": context.seed,
        "data_digest": dataset.digest,
        "train": dataclasses.asdict(config),
    }
    return _publish(context.folder, result.checkpoint, config, description, Path(dataset.uri) / "schema.json")


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


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C is KeyboardInterrupt, within and afterwards: Ray Train answers it by a handler of its own, which aborts
    training, ends the process by SystemExit, and would stay when training has ended.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGINT, before)


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


def _trainer(config: config.Train, context: Context, settings: dict[str, Any]) -> TorchTrainer:
    least, most = config.workers
    return TorchTrainer(
        train_worker,
        train_loop_config=settings,
        torch_config=OwnAddress(),
        scaling_config=ScalingConfig(
            num_workers=least if least == most else (least, most),
            use_gpu=cluster.num_gpus() >= least,
            elastic_resize_monitor_interval_s=LOOK_EVERY_S,
        ),
        run_config=RunConfig(
            name=CHECKPOINTS,  # the folder is named by the step's key, so this can never meet another run's checkpoints
            storage_path=str(context.folder),
            failure_config=FailureConfig(max_failures=MAX_FAILURES, preemption_grace_s=GRACE_S),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
        ),
    )


def _fitted(trainer: TorchTrainer) -> Result:
    """What training ends with; one line where more workers were lost than are started anew, or none could start."""
    try:
        return trainer.fit()
    except ControllerError as error:
        what, cause = "could not start its workers", error.controller_failure
    except WorkerGroupError as error:
        causes = [getattr(failure, "health_check_failure", failure) for failure in error.worker_failures.values()]
        lost = [cause for cause in causes if isinstance(cause, RayActorError)]
        if not lost:
            raise
        what, cause = f"lost its workers {MAX_FAILURES + 1} times", lost[0]
    raise ServiceError(
        f"training {what} ({cluster.line_of(cause)}): run the same command to resume from the last checkpoint"
    ) from cause


def _publish(folder: Path, last: Checkpoint, config: config.Train, description: dict[str, Any], schema: Path) -> Model:
    """The files of a model, and the schema of its data beside them, so that draws can be read without the data."""
    network, average, optimizer = untrained(config, description, "cpu")
    with last.as_directory() as local:
        step = checkpoint.unpack((Path(local) / CHECKPOINT).read_bytes(), network, average, optimizer)
    assert step == config.num_steps
    files = model.to_files(average.module, description)
    store = open_store(str(folder))
    for name, data in {**files, "schema.json": schema.read_bytes()}.items():
        put_if_absent(store, name, data)
    return Model(str(folder), model.digest(folder))
