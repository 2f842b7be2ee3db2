"""Ray actors beside the work that they do: what `benchmarks.scale` measures of a fleet."""

import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import torch

from benchmarks.figures import Figure
from benchmarks.scale import DIM, ROWS, entry_of
from scorefleet.tasks import config
from scorefleet.tasks.data.schema import Column, DataSchema
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.fleet import cluster
from scorefleet.tasks.fleet.actors import Actors
from scorefleet.tasks.fleet.job import Advanced, Job
from scorefleet.tasks.mcmc.noise_ladder import program as programs
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder
from scorefleet.tasks.mcmc.noise_ladder.program import Program
from scorefleet.tasks.sampling.chain_actor import ChainMaker, ChainWorker
from scorefleet.tasks.sampling.sample import program_of
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.extents import Extent
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import SampleStore

NUM_ACTORS, NUM_CONTROLLED, WIDTH, PLACES = 1_000, 5_000, 256, 4
"""Actors and segments of the control loop; the energy's width, and the segments of the pipeline."""


@ray.remote
class Answering:
    """Answers at once, in place of many actors that work."""

    def arrive(self) -> str:
        """Where it is does not matter."""
        return ""

    def advance(self, job: Any, block: int, segment: int) -> Advanced:
        """An entry of no rows."""
        return Advanced(entry_of(block, segment))


def control() -> list[Figure]:
    """The loop, from the first call to the last answer."""
    cluster.connect(config.Cluster(num_cpus=8))
    one = Answering.remote()
    ray.get(one.arrive.remote())
    fleet = Actors(lambda: one, lambda: NUM_ACTORS)
    job = job_of(program(10), NUM_CONTROLLED, "")
    start, busy = time.perf_counter(), time.process_time()
    entries = fleet.fill(job, lambda entry: None)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    assert len(entries) == NUM_CONTROLLED
    return [
        Figure("a segment of 1,000 actors, ms from call to call", 1e3 * seconds / NUM_CONTROLLED, highest=5),
        Figure("... of them the driver's processor, ms", 1e3 * busy / NUM_CONTROLLED),
    ]


def program(num_draws: int) -> Program:
    """Chains of an energy as `scorefleet run` has them when nothing is said, `num_draws` each in one segment."""
    ladder = Ladder((2.0, -4.6), (0.5, 0.02), (1.0, 1.0), exchanged=(0, 1))
    return program_of("draws", config.Sample(num_draws=num_draws, kernel="mala", steps_per_level=1), 0, DIM, ladder)


def job_of(program: Program, num_blocks: int, store: str) -> Job[Program]:
    """So many blocks of it."""
    extent = Extent(num_blocks * program.block_size, program.num_draws)
    return Job(program, Layout(program.block_size, program.draws_per_segment, (extent,)), store)


@ray.remote
class Bare:
    """The kernel's loop alone: what an actor's segment computes, with nothing of what is done with it."""

    def __init__(self, folder: str):
        self.maker = ChainMaker(folder, "cpu")

    def walk(self, program: Program, blocks: list[int]) -> None:
        """The segments of some blocks."""
        target_at = self.maker.target_at(program.ladder.temperature)
        for block in blocks:
            programs.first_segment(program, block, range(program.num_draws), target_at, "cpu")


def pipeline() -> list[Figure]:
    """In turns: the bare loop and the whole pipeline, on all processors, and the pipeline on one."""
    cluster.connect(config.Cluster(num_cpus=8))
    chosen, num_actors = program(ROWS // 256), min(2, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        energy(Path(folder) / "model")
        model = str(Path(folder) / "model")
        fleets = {count: Actors.start(ChainWorker, (model,), count, PLACES) for count in (1, num_actors)}
        bare = [Bare.remote(model) for _ in range(num_actors)]
        ways: dict[str, Callable[[], object]] = {
            "bare": lambda: ray.get(
                [actor.walk.remote(chosen, [*range(k, PLACES, num_actors)]) for k, actor in enumerate(bare)]
            ),
            "two": lambda: fill(fleets[num_actors], chosen, folder),
            "one": lambda: fill(fleets[1], chosen, folder),
        }
        few = dataclasses.replace(chosen, num_draws=2)
        ray.get([actor.walk.remote(few, [0]) for actor in bare])
        for fleet in fleets.values():
            fill(fleet, few, folder)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(3):
            for name, work in ways.items():
                start = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - start)
        for fleet in fleets.values():
            fleet.dismiss()

    def ratio(over: str, under: str) -> float:
        return statistics.median(a / b for a, b in zip(seconds[over], seconds[under], strict=True))

    return [
        Figure("four segments of 65,536 rows of d = 64, s", statistics.median(seconds["two"])),
        Figure("speed of the pipeline over the bare loop", ratio("bare", "two"), lowest=0.95),
        Figure(f"speed of {num_actors} actors over that of one", ratio("one", "two"), lowest=1.9),
    ]


def fill(fleet: Actors, program: Program, folder: str) -> None:
    """A store, to its manifest."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        job = job_of(program, PLACES, f"{place}/store")
        SampleStore(job.store).publish(fleet.fill(job, lambda entry: None), {})


def energy(folder: Path) -> None:
    """One that was never trained, of the size of the digits', and columns of 64 whole numbers."""
    torch.manual_seed(0)
    network = models.build(DIM, "inner_product", WIDTH, 2)
    description = {"dim": DIM, "energy": "inner_product", "width": WIDTH, "num_blocks": 2, "num_conditions": 0}
    for name, data in models.to_files(network, description | {"data_digest": "0" * 64}).items():
        objects.replace(folder, name, data)
    column = Column("image", "uint8", (8, 8), (8.0,) * DIM, 4.0, 0.0, 16.0, True)
    objects.replace(folder, "schema.json", DataSchema((column,)).to_json().encode())
