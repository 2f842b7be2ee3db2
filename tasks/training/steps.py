"""The loop of step 2, which each data-parallel worker runs: all training steps from the last checkpoint on.

Every number that a step draws is keyed by (seed, step) and drawn for the whole batch, of which each worker takes
its part. So a run that was killed and goes on from its last checkpoint ends with the weights that it would have
had, byte for byte where as many workers go on, and within rounding where more or fewer do.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
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

REPORT_EVERY = 50


class Place(ABC):
    """Where a worker trains: one of `size`, on a `device`, with checkpoints and someone who listens."""

    rank: int
    size: int
    device: torch.device

    @abstractmethod
    def last(self) -> bytes | None:
        """The last checkpoint; None without one."""

    @abstractmethod
    def begin(self, first: int) -> None:
        """Training begins behind this step."""

    @abstractmethod
    def tell(self, step: int, metrics: dict[str, float], wait: bool = False) -> None:
        """Have the metrics of a step recorded; `wait` until they are, where that can be known."""

    @abstractmethod
    def is_going(self, step: int) -> bool:
        """Whether a node with a worker is about to go, so that this step is to be kept: all workers ask alike."""

    @abstractmethod
    def save(self, step: int, checkpoint: bytes | None) -> None:
        """Keep a checkpoint; rank 0 alone has its data, and all must call."""


def untrained(
    config: config.Train, architecture: dict[str, Any], device: torch.device | str
) -> tuple[Energy | ScoreOnly, torch.optim.swa_utils.AveragedModel, torch.optim.AdamW]:
    """A network, the moving average of its weights and their optimiser, to be trained or filled from a checkpoint."""
    kept = {key: architecture[key] for key in model.ARCHITECTURE}
    network = model.build(**kept, dropout=config.dropout or 0.0).to(device)
    optimizer = optimizer_of(network, config.learning_rate, config.weight_decay)
    return network, moving_average(network, config.ema_decay), optimizer


def train_steps(job: dict[str, Any], place: Place) -> int | None:
    """All steps from the last checkpoint on; the step before which training diverged, if it did."""
    config, rank, world_size, device = job["config"], place.rank, place.size, place.device
    torch.set_num_threads(1)  # a worker has one CPU, and the order of a sum must not depend on how many there are
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
    last = place.last()
    first = checkpoint.unpack(last, network, average, optimizer, loss_of.particles) if last else 0
    place.begin(first)
    shape = read_schema(Path(job["data"])).shape
    warping = Warping(config.augmentation, shape) if config.augmentation and shape else None
    parallel = in_parallel(loss_of, world_size)

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
                place.tell(done, metrics)
        is_due = done % config.checkpoint_every == 0 or is_last
        if is_due and rank == 0:
            unseen = validation_loss(average.module, validation, grid, config.time_score_weight, watching)
            place.tell(done, {"validation/loss": unseen}, wait=True)  # at the end nothing that was told is on its way
        if place.is_going(done) or is_due:
            packed = checkpoint.pack(done, network, average, optimizer, loss_of.particles) if rank == 0 else None
            place.save(done, packed)
    return None


def read_rows(uri: str, split: str) -> Tensor:
    """The standardised rows of a split."""
    folder = Path(uri)
    return torch.from_numpy(read_schema(folder).encode(read_split(folder, split)))


def read_grid(uri: str, rows: Tensor) -> Grid:
    """Which coordinates are whole numbers, and how many of the rows are at the ends of their range."""
    return grid_of(rows, *(torch.from_numpy(part) for part in read_schema(Path(uri)).grid()))
