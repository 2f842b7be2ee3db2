"""Seeded schedules of what goes wrong while a fleet fills a store, and what must hold however it went.

A schedule is a function of its seed. It runs the real fleet over real actors: some are killed, some stopped and let go
on when another has taken their place, some die or stop before a certain call of a commit; the driver's loop is left and
begun anew while the actors of the old one still write; a state on disk is altered before it is read; and a segment
takes down whoever makes it. Most stores are asked for in parts, each of which is published before the store is extended
to the next.
"""

import dataclasses
import os
import random
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from scorefleet.tasks import config
from scorefleet.tasks.errors import ServiceError, StorageError
from scorefleet.tasks.fleet.actors import Actors
from scorefleet.tasks.fleet.cluster import connect
from scorefleet.tasks.fleet.job import Advanced, Job
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.entry import Entry
from scorefleet.tasks.store.extents import Extent, extension_files
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.spool import Spool
from scorefleet.tasks.store.verify import verify
from tests.faults.reader import polled
from tests.faults.walker import SIGNALS, Order, Program, Walker, make, poison_of

MAX_CALL = 40
"""More calls than a commit makes, so that some orders to die come due in a later segment."""
MAX_ACTORS, MAX_EXTENSIONS = 3, 2
LATE_S = 0.3
"""What writers that were stopped get to write late, when all others are done."""
ORDERED = (*SIGNALS, "rot")
KINDS = ("kill", "stop", "leave", *ORDERED)


@dataclass(frozen=True)
class Fault:
    """`kind` of what happens `after_s` the first actor is there; `number` chooses the victim, or the call before which
    it fails, or after how many commits the driver leaves.
    """

    kind: str
    after_s: float
    number: int


@dataclass(frozen=True)
class Schedule:
    """What is filled, by how many, and what happens to them."""

    seed: int
    num_actors: int
    extents: tuple[Extent, ...]
    pace_s: float
    faults: tuple[Fault, ...]
    sleep_s: float = 0.3
    """How long those that were stopped sleep, after the last fault."""

    @classmethod
    def of(cls, seed: int) -> "Schedule":
        """Another for every seed."""
        chance = random.Random(seed)
        faults = [
            Fault(chance.choice(KINDS), round(chance.uniform(0, 1), 3), chance.randrange(MAX_CALL))
            for _ in range(chance.randint(1, 4))
        ]
        extents = [Extent(chance.randint(5, 22), chance.randint(2, 8))]
        for _ in range(chance.randrange(MAX_EXTENSIONS + 1)):
            less = Extent(*(chance.randint(1, size) for size in extents[0]))
            extents = [less, *extents] if less != extents[0] else extents
        settings = chance.randint(1, MAX_ACTORS), tuple(extents), round(chance.uniform(0.01, 0.08), 3)
        return cls(seed, *settings, tuple(sorted(faults, key=lambda fault: fault.after_s)))

    @classmethod
    def aimed(cls, *faults: tuple[str, int]) -> "Schedule":
        """Two actors, whose first commits the faults await; who is stopped sleeps until all others are done."""
        return cls(
            0, 2, (Extent(12, 6),), 0.3, tuple(Fault(kind, 0.0, number) for kind, number in faults), sleep_s=60.0
        )

    def jobs(self, store: Path) -> list[Job[Program]]:
        """Blocks of four chains, segments of two draws: the last of each may be partly empty. One job a size."""
        layouts = [Layout(4, 2, self.extents[: number + 1]) for number in range(len(self.extents))]
        return [Job(Program(self.seed, 4, one.num_draws, 2, self.pace_s), one, str(store)) for one in layouts]


class Left(Exception):
    """The driver is gone in the midst of its work."""


def fill(schedule: Schedule, folder: Path) -> SampleStore:
    """Fill a store while the faults happen, and go on until it is published."""
    jobs, orders = schedule.jobs(folder / "store"), folder / "faults"
    orders.mkdir(parents=True)
    store = SampleStore(jobs[0].store)
    leaves = [fault.number % 4 for fault in schedule.faults if fault.kind == "leave"]

    def started() -> Actors:
        return Actors.start(Walker, (str(orders),), schedule.num_actors, jobs[-1].num_blocks)

    patiences, fleets = deque([*leaves, None]), deque([started()])
    with injected(schedule, orders), polled(store.uri) as polling:
        for job in jobs:
            ask(job)
            while (entries := _filled(fleets[-1], job, patiences, orders)) is None:
                if len(fleets) == 2:
                    fleets.popleft().dismiss()
                fleets.append(started())
            store.publish(entries, described(job))
    time.sleep(LATE_S if any(orders.glob("*stop*.taken-*")) else 0)
    for fleet in fleets:  # that of the driver that left last has written beside the other until now
        fleet.dismiss()
    mend(orders, store.uri)  # what nobody has read since
    assert polling.failure is None, polling.failure
    return store


def ask(job: Job[Program]) -> None:
    """What a command does that extends a store."""
    for path, data in extension_files(job.layout.extents).items():
        objects.put_if_absent(objects.open_store(job.store), path, data)


def described(job: Job[Program]) -> dict[str, Any]:
    """As much as a proof needs."""
    return {"num_chains": job.layout.num_chains, "program": vars(job.program), "extents": job.layout.extents}


def _filled(fleet: Actors, job: Job[Program], patiences: deque[int | None], orders: Path) -> Spool | None:
    """All entries; None where the driver has left, or what it met was mended."""
    try:
        return fleet.fill(job, _leave_after(patiences[0]))
    except Left:
        patiences.popleft()
    except (StorageError, ServiceError):
        if not mend(orders, job.store):
            raise
    return None


def mend(orders: Path, store: str) -> int:
    """Put back the states that were altered, and take poison away; how many there are of both."""
    altered, poison = list(orders.glob("*.whole")), list(orders.glob("*.poison"))
    for path in altered:
        (Path(store) / "states" / path.stem).write_bytes(path.read_bytes())
    for path in poison:
        path.unlink()
    return len(altered) + len(poison)


def _leave_after(patience: int | None):
    seen: list[Advanced] = []

    def on_commit(made: Advanced) -> None:
        seen.append(made)
        if patience is not None and len(seen) > patience:
            raise Left

    return on_commit


def undisturbed(schedule: Schedule, folder: Path) -> SampleStore:
    """The same store where nothing happens: without Ray, in the order of blocks and segments, all before it is
    published.
    """
    job = schedule.jobs(folder / "store")[-1]
    store, entries = SampleStore(job.store), []
    state: dict[str, Any] = {}
    ask(job)
    for block, segment in job.layout.places():
        table, state = make(job, block, state if segment else None, segment)
        entries.append(store.commit(block, segment, table, state, {}))
    store.publish(entries, described(job))
    return store


def check(schedule: Schedule, folder: Path) -> None:
    """The store that was disturbed is whole, and in every byte of rows and states the one that was not."""
    print(schedule)
    disturbed, calm = fill(schedule, folder / "disturbed"), undisturbed(schedule, folder / "calm")
    for store in (disturbed, calm):
        proof = verify(store.uri)
        assert proof.is_whole, proof.findings
    assert disturbed.description()["digest"] == calm.description()["digest"]
    assert [made_of(entry) for entry in disturbed.entries()] == calm.entries()
    for entry in calm.entries():
        for path in (entry.path, entry.state_path):
            assert (Path(disturbed.uri) / path).read_bytes() == (Path(calm.uri) / path).read_bytes()
    shutil.rmtree(folder)


def made_of(entry: Entry) -> Entry:
    """Without what says by whom, in which writers of one segment differ, as the chains' actors do."""
    return dataclasses.replace(entry, facts={})


@contextmanager
def injected(schedule: Schedule, orders: Path) -> Iterator[None]:
    """A thread that does what the schedule says."""
    over = threading.Event()
    thread = threading.Thread(target=_inject, args=(schedule, orders, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _inject(schedule: Schedule, orders: Path, over: threading.Event) -> None:
    while not over.wait(0.01) and not any(orders.glob("*.pid")):
        pass  # the schedule begins with the first actor that is there
    start = time.monotonic()
    for count, fault in enumerate(schedule.faults):
        over.wait(max(0.0, start + fault.after_s - time.monotonic()))
        if fault.kind in ORDERED:
            Order(fault.kind, fault.number).give(orders, count)
        elif fault.kind == "poison":
            (orders / poison_of(fault.number, 0)).touch()
        elif fault.kind in ("kill", "stop") and (victim := _victim(orders, fault.number)):
            os.kill(victim, signal.SIGKILL if fault.kind == "kill" else signal.SIGSTOP)
    while not over.wait(schedule.sleep_s):
        _wake(orders)
    _wake(orders)


def _wake(orders: Path) -> None:
    for path in orders.glob("*.pid"):
        if _is_there(pid := int(path.stem)):
            os.kill(pid, signal.SIGCONT)


def _victim(orders: Path, number: int) -> int | None:
    there = sorted(pid for path in orders.glob("*.pid") if _is_there(pid := int(path.stem)))
    return there[number % len(there)] if there else None


def _is_there(pid: int) -> bool:
    """Whether an actor's process still is that: its number may be another's by now."""
    try:
        return b"ray::Walker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def cluster() -> Iterator[None]:
    """Ray on loopback, once for many schedules."""
    connect(config.Cluster(num_cpus=2 * MAX_ACTORS))
    try:
        yield
    finally:
        ray.shutdown()
