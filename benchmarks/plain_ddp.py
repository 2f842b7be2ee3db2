"""The peer of benchmarks/training.py: the same data-parallel steps as a plain torchrun script, without Ray."""

import sys
from pathlib import Path

import torch
from torch import distributed

from benchmarks.turns import NUM_STEPS, SETTINGS, TIME_SCORE_WEIGHT, WIDTH, Turns
from scorefleet.tasks.data.prepare import read_split
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.ebm import model
from scorefleet.tasks.ebm.dequantise import Grid, dequantise, grid_of
from scorefleet.tasks.ebm.objectives import EnergyLoss
from scorefleet.tasks.ebm.training import (
    draw_batch,
    in_parallel,
    learning_rate,
    moving_average,
    optimizer_of,
    part,
    share,
)
from scorefleet.tasks.mcmc.streams import Stream


def main(data: str, folder: str) -> None:
    """All steps, in turns with the other side."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank, world_size = distributed.get_rank(), distributed.get_world_size()
    schema, stream, c = read_schema(Path(data)), Stream(0, 0, "train"), SETTINGS
    rows = torch.from_numpy(schema.encode(read_split(Path(data), "train")))
    grid: Grid = grid_of(rows, *(torch.from_numpy(part) for part in schema.grid()))
    torch.manual_seed(0)
    network = model.build(rows.shape[1], "scalar_head", WIDTH, c.num_blocks, dropout=0.0)
    network.fit_anchor(dequantise(rows, grid, stream.at(0, 1)))
    average = moving_average(network, c.ema_decay)
    optimizer = optimizer_of(network, c.learning_rate, c.weight_decay)
    parallel = in_parallel(EnergyLoss(network, TIME_SCORE_WEIGHT), world_size)
    turns = Turns(Path(folder), "torchrun", rank)
    for step in range(NUM_STEPS):
        turns.take(step)
        batch = share(draw_batch(stream, step, rows, grid, c.batch_size), rank, world_size)
        random = part(stream, step, c.batch_size, rank, world_size)
        losses = parallel(batch.x, batch.noise, batch.logit_beta, batch.warps, random, batch.known)
        optimizer.zero_grad(set_to_none=True)
        sum(losses).backward()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, NUM_STEPS, c.learning_rate)
        optimizer.step()
        average.update_parameters(network)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
