"""A fleet of Ray actors that advance blocks of chains and commit what they draw.

Actors own devices; blocks own randomness and state. A segment of a block is a pure function of (program, block,
segment) and its commit is put-if-absent, so a store does not depend on how many actors there were, which died, or
what ran twice.
"""

import contextlib
import dataclasses
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import ray
import torch

from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.errors import UserError
from scorefleet.tasks.fleet.failures import LOST
from scorefleet.tasks.fleet.hardware import made_on
from scorefleet.tasks.fleet.job import Advanced, Job
from scorefleet.tasks.fleet.seats import LOOK_S, Seated, Seats, start_of
from scorefleet.tasks.mcmc.noise_ladder import annealing, ladder_exchange
from scorefleet.tasks.mcmc.noise_ladder import program as programs
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder, TargetAt, Tuning
from scorefleet.tasks.mcmc.noise_ladder.program import Chains, Program, Segment
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.sampling import composition
from scorefleet.tasks.sampling.draws import exchange_facts, level_facts, moments_in, path_table, to_table, trace_table
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.spool import Spool


class Made(NamedTuple):
    """A segment before it is committed: rows, the chain state after them, and facts that are no function of who made
    it.
    """

    table: pa.Table
    state: dict[str, np.ndarray]
    facts: dict[str, Any]


class ChainMaker:
    """Makes any segment of a model's chains, on a device; a pure function, by whomever it is called."""

    def __init__(self, folder: str, device: str):
        self.device = torch.device(device)
        torch.set_num_threads(1)  # the order of a sum must not depend on the machine's number of cores
        self.model = composition.load(Path(folder), self.device)
        self.schema = composition.schema_of(Path(folder))

    def tune(self, stream: Stream, levels: tuple[float, ...], tuning: Tuning) -> Ladder:
        """Find the step size of every level, and the levels to exchange between."""
        target_at, dim = self.target_at(tuning.temperature), self.model.dim
        ladder = annealing.tune(stream, target_at, levels, dim, tuning, self.device)
        if not tuning.is_exchanged:
            return ladder
        others = dataclasses.replace(stream, purpose=f"{stream.purpose}/exchange")
        return ladder_exchange.choose_levels(others, target_at, ladder, tuning.num_chains, dim, self.device)

    def walk(self, program: Program) -> tuple[pa.Table, pa.Table]:
        """One block of chains for people to look at: its way down, and where it goes at the lowest level."""
        target_at = self.target_at(program.ladder.temperature)
        walk = programs.descend_ladder(program, 0, target_at, self.device)
        draws = range(program.draws_per_segment, program.num_draws)
        stay = programs.next_segment(program, 0, draws, programs.arrived(program, walk), target_at)
        tables = path_table(walk), trace_table(stay)
        if isinstance(self.model, models.ScoreModel):
            return tuple(table.drop_columns("log_density") for table in tables)
        return tables

    def make(
        self, program: Program, layout: Layout, block: int, segment: int, before: dict[str, np.ndarray] | None
    ) -> Made:
        """One segment of one block, from the state that the segment before it left."""
        made, chains = self._advanced(program, block, layout.draws(block, segment), before), layout.chains(block)
        state = made.chains.to_tensors()
        facts = {
            "levels": level_facts(made.stats, program.steps_per_level, len(chains)),
            **(exchange_facts(made) if program.exchange_rounds else {}),
            "num_nonfinite": made.draws.num_nonfinite,
            "num_gradients": made.num_gradients,
        }
        table = to_table(made, program, chains, self.model, self.schema)
        return Made(table, {key: value.cpu().numpy() for key, value in state.items()}, facts)

    def _advanced(self, program: Program, block: int, draws: range, before: dict[str, np.ndarray] | None) -> Segment:
        target_at = self.target_at(program.ladder.temperature)
        if before is None:
            return programs.first_segment(program, block, draws, target_at, self.device)
        loaded = {key: torch.from_numpy(value).to(self.device) for key, value in before.items()}
        return programs.next_segment(program, block, draws, Chains.of_tensors(loaded), target_at)

    def target_at(self, temperature: float) -> TargetAt:
        """The model's density, or its score alone, at each noise level, to the power `1/temperature`."""
        return annealing.heat(self.model.target, temperature)


@ray.remote
class ChainActor(ChainMaker, Seated):
    """Holds a model on a device and advances whatever block it is given; keeps nothing between calls."""

    def __init__(self, folder: str):
        try:
            super().__init__(folder, "cuda" if ray.get_gpu_ids() else "cpu")
        except UserError as error:  # of a classifier
            self.refusal = error

    def advance(self, job: Job[Program], block: int, segment: int) -> Advanced:
        """Make one segment of one block and commit it; one that is there already is left alone."""
        make = partial(self.make, job.program, job.layout, block, segment)
        return advanced(job.store, block, segment, make, made_on(self.device))


def advanced(
    uri: str,
    block: int,
    segment: int,
    make: Callable[[dict[str, np.ndarray] | None], Made],
    hardware: dict[str, Any],
) -> Advanced:
    """A segment of a store: as it was committed, or made now from the state before it."""
    store = SampleStore(uri)
    entry = store.committed(block, segment)
    if entry is not None:
        return Advanced(entry)
    made = make(store.state_before(block, segment))
    entry = store.commit(block, segment, made.table, made.state, made.facts | hardware)
    return Advanced(entry, moments_in(made.table))


Call = tuple[int, tuple[int, int] | None, "Future[Any]"]
"""The seat that was called, the segment that it was to make (None for its arrival), and its answer."""


class Fleet(Seats):
    """Actors that make every segment of a job."""

    def fill(self, job: Any, on_commit: Callable[[Advanced], None]) -> Spool:
        """`run` for a job whose segments are entries of a store: all of them, in order."""
        entries, num_rows = Spool(), 0

        def keep(made: Advanced) -> None:
            nonlocal num_rows
            entries.add(made.entry)
            num_rows += made.entry.rows
            on_commit(made)

        try:
            self.run(job, keep)
        except KeyboardInterrupt as stop:
            stop.args = (f"{num_rows:,} rows are saved",)
            raise
        return entries

    def run(self, job: Any, on_commit: Callable[[Any], None]) -> None:
        """Every segment of every block, one in flight an actor; a block's segments in order, in any actor.

        An actor gets its first block when it has arrived, so one that the cluster has no room for holds up nothing.
        Each call says itself that it is done, so a segment costs the driver the same however many actors there are.
        """
        done: queue.SimpleQueue[Call] = queue.SimpleQueue()
        blocks, going_on, idle = iter(range(job.num_blocks)), deque[tuple[int, int]](), deque[int]()
        num_left = job.num_blocks

        def call(seat: int, place: tuple[int, int] | None, reference: Any) -> None:
            reference.future().add_done_callback(lambda future: done.put((seat, place, future)))

        for seat, arrival in self.arrivals.items():
            call(seat, None, arrival)
        for seat, place, future in self._each(done, call):
            work = start_of(seat) if place is None else f"segment {place[1]} of block {place[0]}"
            try:
                result = future.result()
            except LOST as error:
                self.replace(seat, work, error)
                call(seat, None, self.arrivals[seat])
                going_on.extendleft([place] if place else [])
            else:
                idle.append(seat)
                self.losses.forget(work)
                if place is not None:
                    on_commit(result)
                    if place[1] + 1 < job.num_segments(place[0]):
                        going_on.append((place[0], place[1] + 1))
                    else:
                        num_left -= 1
            if not num_left:
                return
            while idle and (following := _following(going_on, blocks)) is not None:
                seat = idle.popleft()
                call(seat, following, self.actors[seat].advance.remote(job, *following))

    def _each(self, done: "queue.SimpleQueue[Call]", call: Callable[[int, None, Any], None]) -> Iterator[Call]:
        """Calls as they are done; now and then, actors for nodes that have joined are called to arrive."""
        looked = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                yield done.get(timeout=LOOK_S)
            if time.monotonic() - looked > LOOK_S:
                for seat in self.grow():
                    call(seat, None, self.arrivals[seat])
                looked = time.monotonic()


def _following(going_on: deque[tuple[int, int]], blocks: Iterator[int]) -> tuple[int, int] | None:
    """The segment to make next: of a block that is begun, if there is one, so that few are."""
    if going_on:
        return going_on.popleft()
    block = next(blocks, None)
    return None if block is None else (block, 0)
