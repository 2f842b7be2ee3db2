"""A fleet of Ray actors, each of which makes whatever segment it is given."""

import contextlib
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from scorefleet.tasks.fleet.failures import LOST
from scorefleet.tasks.fleet.fleet import Fleet
from scorefleet.tasks.fleet.seats import LOOK_S, Seats, start_of

Call = tuple[int, tuple[int, int] | None, "Future[Any]"]
"""The seat that was called, the segment that it was to make (None for its arrival), and its answer."""


class Actors(Seats, Fleet):
    """Actors that make every segment of a job."""

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
