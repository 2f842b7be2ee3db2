"""Step 2: fit the energy, by denoising score matching or another objective, data-parallel with Ray Train.

Every number that a step draws is keyed by (seed, step) and drawn for the whole batch, of which each worker takes
its part. So a run that was killed and goes on from its last checkpoint ends with the weights that it would have
had.
"""

import dataclasses
import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import ray.train
import safetensors.torch
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from torch import Tensor

from tasks import cluster, config
from tasks.artifacts import Champion, Dataset, Model
from tasks.context import Context
from tasks.ebm import checkpoint, model
from tasks.ebm.augment import NUM_WARPS
from tasks.ebm.defaults import choose
from tasks.ebm.dequantise import Grid, dequantise, grid_of
from tasks.ebm.energies import Energy, ScoreOnly
from tasks.ebm.losses import LOSSES
from tasks.ebm.noise import add_noise
from tasks.ebm.training import (
    Warping,
    all_finite,
    draw_batch,
    dropout_seed,
    in_parallel,
    learning_rate,
    moving_average,
    optimizer_of,
    part,
    share,
    validation_loss,
)
from tasks.errors import UsageError
from tasks.known_score import scores_of_rows
from tasks.mcmc.streams import Stream
from tasks.prepare import read_schema, read_split
from tasks.store.objects import open_store, put_if_absent
from tasks.watch import Mailbox, Watch

REPORT_EVERY = 50
CHECKPOINT, KNOWN = "checkpoint.safetensors", "known.safetensors"
UNWARPED = ("persistent", "explicit")  # particles have no conditions, and warped rows another law


def train(config: config.Train, context: Context, dataset: Dataset, start: Champion | None = None) -> Model:
    """Train until the last step, from the weights of `start` if there is one; keep the weights' moving average."""
    config = _completed(_like(config, start), dataset)
    known = _known(config, context.folder, dataset)
    cluster.connect(context.cluster)
    cluster.require_cpus(config.num_workers, "train.num_workers")
    architecture = {
        "dim": dataset.dim,
        **{key: getattr(config, key) for key in ("energy", "width", "num_blocks")},
        "num_conditions": NUM_WARPS if config.augmentation else 0,
    }
    _require_same(architecture, start)
    mailbox = Mailbox.remote()
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
    with Watch(mailbox, "train", config.num_steps, "steps", context.journal), interruptible():
        result = _trainer(config, context, settings).fit()
    assert result.metrics is not None
    if "diverged_at" in result.metrics:
        raise UsageError(
            f"training diverged before step {result.metrics['diverged_at']:,}, its weights are not numbers any more: "
            f"lower train.learning_rate, which was {config.learning_rate:g}"
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
    found = json.loads((Path(start.uri) / "model.json").read_text())
    return dataclasses.replace(config, energy=config.energy or found["energy"], width=config.width or found["width"])


def _require_same(architecture: dict[str, Any], start: Champion | None) -> None:
    """Weights fit a network of their own form alone."""
    found = json.loads((Path(start.uri) / "model.json").read_text()) if start else architecture
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
    if config.augmentation and config.objective in UNWARPED:
        raise UsageError(
            f"train.augmentation must be 0 for train.objective {config.objective}, but got {config.augmentation}"
        )
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
    return TorchTrainer(
        train_worker,
        train_loop_config=settings,
        scaling_config=ScalingConfig(num_workers=config.num_workers, use_gpu=cluster.num_gpus() >= config.num_workers),
        run_config=RunConfig(
            name="ray",  # the folder is named by the step's key, so this can never meet another run's checkpoints
            storage_path=str(context.folder),
            failure_config=FailureConfig(max_failures=8),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
        ),
    )


def _publish(folder: Path, last: Checkpoint, config: config.Train, description: dict[str, Any], schema: Path) -> Model:
    """The files of a model, and the schema of its data beside them, so that draws can be read without the data."""
    network, average, optimizer = _untrained(config, description, "cpu")
    with last.as_directory() as local:
        step = checkpoint.unpack((Path(local) / CHECKPOINT).read_bytes(), network, average, optimizer)
    assert step == config.num_steps
    files = model.to_files(average.module, description)
    store = open_store(str(folder))
    for name, data in {**files, "schema.json": schema.read_bytes()}.items():
        put_if_absent(store, name, data)
    return Model(str(folder), model.digest(folder))


def _untrained(
    config: config.Train, architecture: dict[str, Any], device: torch.device | str
) -> tuple[Energy | ScoreOnly, torch.optim.swa_utils.AveragedModel, torch.optim.AdamW]:
    kept = {key: architecture[key] for key in model.ARCHITECTURE}
    network = model.build(**kept, dropout=config.dropout or 0.0).to(device)
    optimizer = optimizer_of(network, config.learning_rate, config.weight_decay)
    return network, moving_average(network, config.ema_decay), optimizer


def train_worker(job: dict[str, Any]) -> None:
    """What each data-parallel worker runs: all steps from the last checkpoint on."""
    config = job["config"]
    rank, world_size = ray.train.get_context().get_world_rank(), ray.train.get_context().get_world_size()
    torch.set_num_threads(1)  # a worker has one CPU, and the order of a sum must not depend on how many there are
    device = get_device()
    stream, watching = (Stream(job["seed"], 0, purpose) for purpose in ("train", "validation"))
    rows, validation = (read_rows(job["data"], split).to(device) for split in ("train", "validation"))
    grid = Grid(*(part.to(device) for part in read_grid(job["data"], rows.cpu())))
    torch.manual_seed(int(stream.at(0, 0).integers(2**31, 1)))  # initial weights, the same on every worker
    network, average, optimizer = _untrained(config, job["architecture"], device)
    network.fit_anchor(dequantise(rows, grid, stream.at(0, 1)))
    if job["start"]:
        network.load_state_dict(safetensors.torch.load((Path(job["start"]) / "weights.safetensors").read_bytes()))
        average = moving_average(network, config.ema_decay)
    loss_of = LOSSES[config.objective](network, config.time_score_weight)
    known = safetensors.torch.load(Path(job["known"]).read_bytes())["score"].to(device) if job["known"] else None
    begin = draw_batch(Stream(job["seed"], 0, "particles"), 0, rows, grid, config.batch_size, known=known)
    loss_of.start(add_noise(begin.x, begin.noise, begin.logit_beta), begin.logit_beta, begin.known)
    first = _restore(network, average, optimizer, loss_of.particles)
    shape = read_schema(Path(job["data"])).shape
    warping = Warping(config.augmentation, shape) if config.augmentation and shape else None
    parallel = in_parallel(loss_of, world_size)

    for step in range(first, config.num_steps):
        batch = share(draw_batch(stream, step, rows, grid, config.batch_size, warping, known), rank, world_size)
        torch.manual_seed(dropout_seed(stream, step, rank))
        random = part(stream, step, rank, world_size)
        matching, time_score = parallel(batch.x, batch.noise, batch.logit_beta, batch.warps, random, batch.known)
        optimizer.zero_grad(set_to_none=True)
        (matching + time_score).backward()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config.num_steps, config.learning_rate)
        optimizer.step()
        average.update_parameters(network)

        done, is_last = step + 1, step + 1 == config.num_steps
        is_told = done % REPORT_EVERY == 0 or is_last
        if is_told and not all_finite(network):  # on every worker alike, for they share their gradients
            ray.train.report({"diverged_at": done})
            return
        if rank == 0 and is_told:
            losses = {config.objective: matching} | ({"time_score": time_score} if config.time_score_weight else {})
            metrics = {f"train/{name}_loss": loss.item() for name, loss in losses.items()}
            job["mailbox"].put.remote(done, metrics)
        if done % config.checkpoint_every == 0 or is_last:
            unseen = validation_loss(average.module, validation, grid, config.time_score_weight, watching)
            metrics = {"validation/loss": unseen}
            if rank == 0:
                job["mailbox"].put.remote(done, metrics)
            _save(done, metrics, rank, checkpoint.pack(done, network, average, optimizer, loss_of.particles))


def read_rows(uri: str, split: str) -> Tensor:
    """The standardised rows of a split."""
    folder = Path(uri)
    return torch.from_numpy(read_schema(folder).encode(read_split(folder, split)))


def read_grid(uri: str, rows: Tensor) -> Grid:
    """Which coordinates are whole numbers, and how many of the rows are at the ends of their range."""
    return grid_of(rows, *(torch.from_numpy(part) for part in read_schema(Path(uri)).grid()))


def _restore(
    network: torch.nn.Module, average: torch.nn.Module, optimizer: torch.optim.Optimizer, particles: torch.nn.Module
) -> int:
    """The number of steps that the last checkpoint has behind it, 0 without one."""
    last = ray.train.get_checkpoint()
    if last is None:
        return 0
    with last.as_directory() as folder:
        return checkpoint.unpack((Path(folder) / CHECKPOINT).read_bytes(), network, average, optimizer, particles)


def _save(step: int, metrics: dict[str, float], rank: int, data: bytes) -> None:
    """Report a checkpoint; only rank 0 has one, and all must report."""
    if rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / CHECKPOINT).write_bytes(data)
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder), checkpoint_dir_name=f"step-{step:08}")
