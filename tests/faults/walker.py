"""An actor that fills a store as the chains' actors do, with draws that cost nothing, and that obeys orders to fail.

It imports no torch, so that another stands in its place in less than a second.
"""

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from scorefleet.tasks.fleet.job import Advanced, Job
from scorefleet.tasks.fleet.worker import Worker
from scorefleet.tasks.store.manifest import SampleStore

CALLS = ("open", "write", "fsync", "link", "unlink", "mkdir", "replace")
"""Calls of `os` before each of which a writer can be told to fail; `Path` and files call some of them too."""
FIRST_SIGN = -25
"""The byte of a state that holds the sign of its block's first chain: the last of the first of four numbers."""


SIGNALS = {"die in a commit": signal.SIGKILL, "stop in a commit": signal.SIGSTOP}
"""What is done to a writer before a call of its commit."""


class Order(NamedTuple):
    """What is to go wrong once, in whichever writer takes it: a file of the folder `faults`."""

    kind: str
    number: int

    @classmethod
    def of(cls, path: Path) -> "Order":
        _, kind, number = path.stem.split("-")
        return cls(kind, int(number))

    def give(self, folder: Path, count: int) -> None:
        (folder / f"{count}-{self.kind}-{self.number}.order").touch()


@dataclass(frozen=True)
class Program:
    """How blocks are cut, and how long a segment takes."""

    seed: int
    block_size: int
    num_draws: int
    draws_per_segment: int
    pace_s: float


def make(
    job: Job[Program], block: int, before: dict[str, np.ndarray] | None, segment: int
) -> tuple[pa.Table, dict[str, Any]]:
    """Random walks: a pure function of the program, the block, its draws and the state before them."""
    program, draws, kept = job.program, job.layout.draws(block, segment), len(job.layout.chains(block))
    start = np.zeros(program.block_size) if before is None else before["x"]
    steps = [np.random.default_rng([program.seed, block, draw]).normal(size=program.block_size) for draw in draws]
    walk = np.cumsum([start, *steps], axis=0)[1:]
    rows = {
        "chain": np.tile(np.arange(kept, dtype=np.int64) + job.layout.chains(block).start, len(draws)),
        "draw": np.repeat(np.arange(draws.start, draws.stop, dtype=np.int32), kept),
        "x": walk[:, :kept].ravel(),
    }
    return pa.table(rows), {"x": walk[-1]}


class Walker(Worker):
    """Says where it lives by a file of its process id in `faults`; takes from there the orders to die."""

    def __init__(self, faults: str):
        self.faults = Path(faults)
        (self.faults / f"{os.getpid()}.pid").touch()

    def advance(self, job: Job[Program], block: int, segment: int) -> Advanced:
        """As the chains' actors do it."""
        store = SampleStore(job.store)
        entry = store.committed(block, segment)
        if entry is not None:
            return Advanced(entry)
        if (self.faults / poison_of(block, segment)).exists():
            os._exit(1)
        order = self._order(segment)
        if order is not None and order.kind == "rot":
            self._rot(store, block, segment - 1)
        table, state = make(job, block, store.state_before(block, segment), segment)
        time.sleep(0 if (self.faults / "hurry").exists() else job.program.pace_s)
        if order is not None and order.kind in SIGNALS:
            signal_before(order.number, SIGNALS[order.kind])
        writer = f"{socket.gethostname()}-{os.getpid()}"
        entry = store.commit(block, segment, table, state, {"writer": writer})
        (self.faults / f"{block}-{segment}.by-{writer}").touch()
        return Advanced(entry)

    def _order(self, segment: int) -> Order | None:
        """What is to go wrong, where something is; no other writer gets the same order."""
        for path in sorted(self.faults.glob("*.order")):
            order = Order.of(path)
            if order.kind == "rot" and not segment:
                continue  # there is no state yet
            try:
                path.rename(path.with_suffix(f".taken-{os.getpid()}"))
            except FileNotFoundError:
                continue
            return order
        return None

    def _rot(self, store: SampleStore, block: int, segment: int) -> None:
        """Another sign in the state of a segment; what it was lies in the folder of orders."""
        entry = store.committed(block, segment)
        assert entry is not None
        path = Path(store.uri) / entry.state_path
        data = path.read_bytes()
        (self.faults / f"{path.name}.whole").write_bytes(data)
        path.write_bytes(data[:FIRST_SIGN] + bytes([data[FIRST_SIGN] ^ 0x80]) + data[FIRST_SIGN + 1 :])


def poison_of(block: int, segment: int) -> str:
    """The file that takes down whoever makes a segment, as long as it is there."""
    return f"{block}-{segment}.poison"


def signal_before(number: int, signal_number: int) -> None:
    """Of the calls that this process makes from now on, it gets a signal before the one of this number."""
    left = [number]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                os.kill(os.getpid(), signal_number)
            return call(*arguments, **options)

        return counting

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
