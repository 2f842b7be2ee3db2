"""Actors that keep their places: over all nodes that there are, whichever are lost and whichever join."""

import math
import time
from collections.abc import Callable
from typing import Any, Self

import ray
from ray.exceptions import RayError

from scorefleet.tasks.console import notify
from scorefleet.tasks.errors import ServiceError
from scorefleet.tasks.fleet import cluster
from scorefleet.tasks.fleet.failures import LOST, Losses
from scorefleet.tasks.fleet.worker import Worker

LOOK_S = 5.0
"""Between two looks at which nodes there are."""

PATIENCE_S = 30.0
"""How long no actor may have found a place before people are told; it may be minutes until a new node has one."""


class Seats:
    """Actors over all nodes that there are, each in a *seat*: one that is lost is replaced wherever there is room, and
    nodes that join get some.

    Ray itself restarts none of them, for a call to an actor waits until that has a place again, which may be never.
    """

    def __init__(self, make: Callable[[], Any], count: Callable[[], int]):
        """`make` starts an actor, and `count` says how many there should be by now."""
        self._make, self._count = make, count
        self.actors: dict[int, Any] = {}
        self.arrivals: dict[int, Any] = {}
        self.losses = Losses()
        self._tell_at = time.monotonic() + PATIENCE_S
        self.grow()

    @classmethod
    def start(cls, kind: type[Worker], arguments: tuple[Any, ...], num_actors: int | None, num_blocks: int) -> Self:
        """Actors of a class, such as `ChainWorker`, over all nodes: one a GPU where there are any, else one a CPU, and
        no more than there are blocks to work at; or `num_actors`.
        """
        has_gpus = cluster.num_gpus() > 0
        placed: Any = ray.remote(kind).options(num_cpus=1, num_gpus=int(has_gpus), scheduling_strategy="SPREAD")
        there = cluster.num_gpus if has_gpus else cluster.num_cpus
        # One, even where there is no room: it asks an autoscaler for a node.
        return cls(lambda: placed.remote(*arguments), lambda: num_actors or max(1, min(there(), num_blocks)))

    def grow(self) -> list[int]:
        """Fill the seats that are new; which these are. `ServiceError` where Ray is gone from this machine, so that no
        actor will ever be placed.
        """
        if cluster.this_node() not in cluster.living_nodes():
            raise ServiceError("lost the local Ray node (its raylet died): run the same command to resume")
        if time.monotonic() > self._tell_at:
            self._tell_at = math.inf
            if not ray.wait(list(self.arrivals.values()), timeout=0)[0]:
                notify("scorefleet: no node has room for a worker yet; waiting for one")
        new = list(range(len(self.actors), self._count()))
        for seat in new:
            self._seat(seat)
        return new

    def _seat(self, seat: int) -> None:
        self.actors[seat] = self._make()
        self.arrivals[seat] = self.actors[seat].arrive.remote()

    def replace(self, seat: int, work: str, error: RayError) -> None:
        """Another actor for one that was lost at its work, unless that has lost too many."""
        arrival = self.arrivals[seat]
        ray.kill(self.actors[seat])  # which may be out of reach alone, and go on
        self.losses.add(work, _node_of(arrival), error, cluster.living_nodes())
        self._seat(seat)

    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of an actor returns, of whichever is there first; asked again where its worker is lost."""
        while True:
            there, _ = ray.wait(list(self.arrivals.values()), timeout=LOOK_S)
            if not there:
                self.grow()
                continue
            seat = next(seat for seat, reference in self.arrivals.items() if reference == there[0])
            work = start_of(seat)
            try:
                ray.get(there)
                work = f"the {method.replace('_', '-')}"
                return ray.get(getattr(self.actors[seat], method).remote(*arguments))
            except LOST as error:
                self.replace(seat, work, error)

    def dismiss(self) -> None:
        """Give the actors' places back."""
        for actor in self.actors.values():
            ray.kill(actor)


def start_of(seat: int) -> str:
    return f"the start of worker {seat}"


def _node_of(arrival: Any) -> str | None:
    """Where an actor was, if it had arrived."""
    if not ray.wait([arrival], timeout=0)[0]:
        return None
    try:
        return ray.get(arrival)
    except RayError:
        return None
