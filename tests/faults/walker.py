"""An actor that fills a store as the chains' actors do, with draws that cost nothing, and that dies where it is told.

It imports no torch, so that another stands in its place in less than a second.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from tasks.job import Advanced, Job
from tasks.store.layout import Layout
from tasks.store.manifest import SampleStore

CALLS = ("open", "write", "fsync", "link", "unlink", "mkdir", "replace")
"""Calls of `os` before each of which a writer can be told to die; `Path` and files call some of them too."""


@dataclass(frozen=True)
class Program:
    """How blocks are cut, and how long a segment takes."""

    seed: int
    block_size: int
    num_draws: int
    draws_per_segment: int
    pace_s: float

    @property
    def num_segments(self) -> int:
        return -(-self.num_draws // self.draws_per_segment)


def make(
    job: Job[Program], block: int, before: dict[str, np.ndarray] | None, segment: int
) -> tuple[pa.Table, dict[str, Any]]:
    """Random walks: a pure function of the program, the block, the segment and the state before it."""
    program = job.program
    layout = Layout(job.num_chains, program.block_size, program.num_draws, program.draws_per_segment)
    draws, kept = layout.draws(segment), len(layout.chains(block))
    random = np.random.default_rng([program.seed, block, segment])
    start = np.zeros(program.block_size) if before is None else before["x"]
    walk = start + random.normal(size=(len(draws), program.block_size)).cumsum(0)
    rows = {
        "chain": np.tile(np.arange(kept, dtype=np.int64) + layout.chains(block).start, len(draws)),
        "draw": np.repeat(np.arange(draws.start, draws.stop, dtype=np.int32), kept),
        "x": walk[:, :kept].ravel(),
    }
    return pa.table(rows), {"x": walk[-1]}


@ray.remote(max_restarts=-1, max_task_retries=-1)
class Walker:
    """Says where it lives by a file of its process id in `faults`; takes from there the orders to die."""

    def __init__(self, faults: str):
        self.faults = Path(faults)
        (self.faults / f"{os.getpid()}.pid").touch()

    def arrive(self) -> None:
        """Nothing: it returns once the actor is there."""

    def advance(self, job: Job[Program], block: int, segment: int) -> Advanced:
        """As the chains' actors do it."""
        store = SampleStore(job.store)
        entry = store.committed(block, segment)
        if entry is not None:
            return Advanced(entry)
        table, state = make(job, block, store.state_before(block, segment), segment)
        time.sleep(job.program.pace_s)
        number = self._order()
        if number is not None:
            die_before(number)
        return Advanced(store.commit(block, segment, table, state, {}))

    def _order(self) -> int | None:
        """The call before which to die, where some writer is to; no other writer gets the same order."""
        for order in sorted(self.faults.glob("*.order")):
            try:
                order.rename(order.with_suffix(f".taken-{os.getpid()}"))
            except FileNotFoundError:
                continue
            return int(order.stem.split("-")[1])
        return None


def die_before(number: int) -> None:
    """Of the calls that this process makes from now on, the one of this number is not made: it is killed instead."""
    left = [number]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return counting

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
