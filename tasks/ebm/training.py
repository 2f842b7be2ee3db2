"""One worker's training: batches keyed by step, AdamW on a warmed-up cosine, a moving average of the weights."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scorefleet.tasks.ebm import noise
from scorefleet.tasks.ebm.augment import draw_warps, warp_images
from scorefleet.tasks.ebm.dequantise import Grid, dequantise
from scorefleet.tasks.ebm.objectives import EnergyLoss
from scorefleet.tasks.ebm.parts import Part
from scorefleet.tasks.mcmc.streams import Stream

WARM_UP = 0.05
VALIDATION_SIZE = 1024
NOISING, DEQUANTISING, DROPPING, WARPING = 1, 2, 3, 4  # phases of the training stream
OBJECTIVE = 1000  # the first of the phases that the objective draws from


class Warping(NamedTuple):
    """The share of a batch's images that are warped, and the shape of an image."""

    share: float
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """Rows, the noise added to them, the levels `logit beta` it is added at, how the rows were warped, and their known
    scores.
    """

    x: Float[Tensor, "row dim"]
    noise: Float[Tensor, "row dim"]
    logit_beta: Float[Tensor, " row"]
    warps: Float[Tensor, "row warp"] | None
    known: Float[Tensor, "row dim"] | None = None


def draw_batch(
    stream: Stream,
    step: int,
    rows: Float[Tensor, "row dim"],
    grid: Grid,
    size: int,
    warping: Warping | None = None,
    known: Float[Tensor, "row dim"] | None = None,
) -> Batch:
    """Rows with replacement, warped, made continuous, their levels and noise: a function of the step alone."""
    random = stream.at(NOISING, step)
    indices = random.integers(len(rows), size).to(rows.device)
    chosen, warps = rows[indices], None
    if warping is not None:
        warps = draw_warps(stream.at(WARPING, step), size, warping.share).to(rows)
        chosen = warp_images(chosen, warps, warping.shape, grid)
    x = dequantise(chosen, grid, stream.at(DEQUANTISING, step))
    uniforms = random.uniform(size, 2).to(rows)
    its_known = None if known is None else known[indices]
    return Batch(x, random.normal(*x.shape).to(rows), noise.training_levels(uniforms), warps, its_known)


def dropout_seed(stream: Stream, step: int, rank: int) -> int:
    """What torch's own generator, which dropout uses, is seeded with before a step: then a step can be repeated, by as
    many workers; more or fewer leave out other units.
    """
    return int(stream.at(DROPPING, step).integers(2**62, rank + 1)[rank])


def in_parallel(loss: nn.Module, num_workers: int) -> nn.Module:
    """`loss` with gradients averaged over workers, in an order that a resumed training finds again.

    After its first step DDP sorts parameters into buckets anew, unless it looks for unused ones; with three workers or
    more an element's place there decides in which order its gradients are added, and so how the sum is rounded.
    """
    if num_workers == 1:
        return loss
    return DistributedDataParallel(loss, find_unused_parameters=num_workers > 2)


def share(batch: Batch, rank: int, world_size: int) -> Batch:
    """The part of a batch that worker `rank` of `world_size` learns from."""
    x, noise, logit_beta = (part.tensor_split(world_size)[rank] for part in (batch.x, batch.noise, batch.logit_beta))
    warps, known = (
        part if part is None else part.tensor_split(world_size)[rank] for part in (batch.warps, batch.known)
    )
    return Batch(x, noise, logit_beta, warps, known)


def weight_of(mine: Batch, num_rows: int, world_size: int) -> float:
    """What makes the mean over workers of their losses the mean over all `num_rows`: 1 where all have equally many."""
    return len(mine.x) * world_size / num_rows


def mean_over_workers(values: Tensor, world_size: int) -> Tensor:
    """The mean of the values that each worker has; all must call."""
    if world_size > 1:
        distributed.all_reduce(values)
    return values / world_size


def part(stream: Stream, step: int, num_rows: int, rank: int, world_size: int) -> Part:
    """What the objective of worker `rank` draws from in a step of `num_rows` rows over all workers."""
    return Part(stream.at(OBJECTIVE, step).key, OBJECTIVE, step, num_rows, rank, world_size)


def learning_rate(step: int, num_steps: int, peak: float) -> float:
    """Linear over the first twentieth of the steps, then a half cosine down to zero."""
    warm_up = max(1, round(WARM_UP * num_steps))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, num_steps - warm_up)))


def all_finite(network: nn.Module) -> bool:
    """Whether every weight is a number."""
    return all(bool(parameter.isfinite().all()) for parameter in network.parameters())


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the weights; its first update copies them."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def optimizer_of(network: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over all weights."""
    return torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)


def validation_loss(
    network: nn.Module, rows: Float[Tensor, "row dim"], grid: Grid, time_score_weight: float, stream: Stream
) -> float:
    """The loss of denoising, whatever the objective, on rows that training does not see, with the same noise and levels
    at every call.
    """
    batch = draw_batch(stream, 0, rows, grid, VALIDATION_SIZE)
    network.eval()
    denoising, time_score = EnergyLoss(network, time_score_weight)(batch.x, batch.noise, batch.logit_beta)
    return float((denoising + time_score).detach())
