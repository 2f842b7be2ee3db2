"""What each data-parallel worker of step 2 runs: all training steps from the last checkpoint on.

Every number that a step draws is keyed by (seed, step) and drawn for the whole batch, of which each worker takes
its part. So a run that was killed and goes on from its last checkpoint ends with the weights that it would have
had, byte for byte where as many workers go on, and within rounding where more or fewer do.
"""

import json
import secrets
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import ray
import ray.train
import safetensors.torch
import torch
from ray.train import Checkpoint
from ray.train.torch import get_device
from torch import Tensor

from scorefleet.tasks import config
from scorefleet.tasks.data.prepare import read_split
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.ebm import checkpoint, model
from scorefleet.tasks.ebm.dequantise import Grid, dequantise, grid_of
from scorefleet.tasks.ebm.energies import Energy, ScoreOnly
from scorefleet.tasks.ebm.losses import LOSSES
from scorefleet.tasks.ebm.noise import add_noise
from scorefleet.tasks.ebm.training import (
    Warping,
    all_finite,
    draw_batch,
    dropout_seed,
    in_parallel,
    learning_rate,
    mean_over_workers,
    moving_average,
    optimizer_of,
    part,
    share,
    validation_loss,
    weight_of,
)
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.training.preemption import Notices
from scorefleet.tasks.training.watch import Message

REPORT_EVERY = 50
CHECKPOINT, TOLD = "checkpoint.safetensors", "told.json"
NUM_TOLD = 100  # messages of far more than the second after which the driver has them in its journal


def untrained(
    config: config.Train, architecture: dict[str, Any], device: torch.device | str
) -> tuple[Energy | ScoreOnly, torch.optim.swa_utils.AveragedModel, torch.optim.AdamW]:
    """A network, the moving average of its weights and their optimiser, to be trained or filled from a checkpoint."""
    kept = {key: architecture[key] for key in model.ARCHITECTURE}
    network = model.build(**kept, dropout=config.dropout or 0.0).to(device)
    optimizer = optimizer_of(network, config.learning_rate, config.weight_decay)
    return network, moving_average(network, config.ema_decay), optimizer


def train_worker(job: dict[str, Any]) -> int | None:
    """All steps from the last checkpoint on; the step before which training diverged, if it did."""
    config = job["config"]
    rank, world_size = ray.train.get_context().get_world_rank(), ray.train.get_context().get_world_size()
    torch.set_num_threads(1)  # a worker has one CPU, and the order of a sum must not depend on how many there are
    device = get_device()
    stream, watching = (Stream(job["seed"], 0, purpose) for purpose in ("train", "validation"))
    rows, validation = (read_rows(job["data"], split).to(device) for split in ("train", "validation"))
    grid = Grid(*(part.to(device) for part in read_grid(job["data"], rows.cpu())))
    torch.manual_seed(int(stream.at(0, 0).integers(2**31, 1)))  # initial weights, the same on every worker
    network, average, optimizer = untrained(config, job["architecture"], device)
    network.fit_anchor(dequantise(rows, grid, stream.at(0, 1)))
    if job["start"]:
        network.load_state_dict(safetensors.torch.load((Path(job["start"]) / "weights.safetensors").read_bytes()))
        average = moving_average(network, config.ema_decay)
    loss_of = LOSSES[config.objective](network, config.time_score_weight)
    known = safetensors.torch.load(Path(job["known"]).read_bytes())["score"].to(device) if job["known"] else None
    begin = draw_batch(Stream(job["seed"], 0, "particles"), 0, rows, grid, config.batch_size, known=known)
    loss_of.start(add_noise(begin.x, begin.noise, begin.logit_beta), begin.logit_beta, begin.known)
    first, told = _restore(network, average, optimizer, loss_of.particles)

    def tell(step: int, metrics: dict[str, float]) -> Any:
        """A checkpoint has what was told last, for a driver that was killed before it had written that down."""
        told.append((step, metrics))
        return job["mailbox"].put.remote(step, metrics)

    if rank == 0:
        for message in told:
            job["mailbox"].put.remote(*message)
    shape = read_schema(Path(job["data"])).shape
    warping = Warping(config.augmentation, shape) if config.augmentation and shape else None
    parallel = in_parallel(loss_of, world_size)
    notices = Notices(first)

    for step in range(first, config.num_steps):
        batch = share(draw_batch(stream, step, rows, grid, config.batch_size, warping, known), rank, world_size)
        torch.manual_seed(dropout_seed(stream, step, rank))
        random = part(stream, step, config.batch_size, rank, world_size)
        terms = parallel(batch.x, batch.noise, batch.logit_beta, batch.warps, random, batch.known)
        losses = weight_of(batch, config.batch_size, world_size) * torch.stack(terms)
        optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config.num_steps, config.learning_rate)
        optimizer.step()
        average.update_parameters(network)

        done, is_last = step + 1, step + 1 == config.num_steps
        is_told = done % REPORT_EVERY == 0 or is_last
        if is_told and not all_finite(network):  # on every worker alike, for they share their gradients
            return done
        if is_told:
            values = mean_over_workers(losses.detach(), world_size).tolist()
            names = (config.objective, "time_score") if config.time_score_weight else (config.objective,)
            metrics = {f"train/{name}_loss": value for name, value in zip(names, values, strict=False)}
            if rank == 0:
                tell(done, metrics)
        is_due = done % config.checkpoint_every == 0 or is_last
        if is_due and rank == 0:
            unseen = validation_loss(average.module, validation, grid, config.time_score_weight, watching)
            ray.get(tell(done, {"validation/loss": unseen}))  # so that at the end the driver finds all that was told
        if notices.came(done) or is_due:
            packed = checkpoint.pack(done, network, average, optimizer, loss_of.particles) if rank == 0 else None
            _save(done, packed, told)
    return None


def read_rows(uri: str, split: str) -> Tensor:
    """The standardised rows of a split."""
    folder = Path(uri)
    return torch.from_numpy(read_schema(folder).encode(read_split(folder, split)))


def read_grid(uri: str, rows: Tensor) -> Grid:
    """Which coordinates are whole numbers, and how many of the rows are at the ends of their range."""
    return grid_of(rows, *(torch.from_numpy(part) for part in read_schema(Path(uri)).grid()))


def _restore(
    network: torch.nn.Module, average: torch.nn.Module, optimizer: torch.optim.Optimizer, particles: torch.nn.Module
) -> tuple[int, deque[Message]]:
    """The number of steps that the last checkpoint has behind it, 0 without one, and what was told last until then."""
    last = ray.train.get_checkpoint()
    if last is None:
        return 0, deque(maxlen=NUM_TOLD)
    with last.as_directory() as folder:
        told = json.loads((Path(folder) / TOLD).read_bytes())
        step = checkpoint.unpack((Path(folder) / CHECKPOINT).read_bytes(), network, average, optimizer, particles)
    return step, deque(((step, metrics) for step, metrics in told), maxlen=NUM_TOLD)


def _save(step: int, data: bytes | None, told: deque[Message]) -> None:
    """Report a checkpoint; rank 0 alone has its data, and all must report."""
    if data is None:
        ray.train.report({"step": step})
        return
    name = f"step-{step:08}-{secrets.token_hex(4)}"  # a worker that was cut off may still write one of this step
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / CHECKPOINT).write_bytes(data)
        (Path(folder) / TOLD).write_text(json.dumps(list(told)), encoding="utf-8")
        ray.train.report({"step": step}, checkpoint=Checkpoint.from_directory(folder), checkpoint_dir_name=name)
