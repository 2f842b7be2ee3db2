"""Brings what remote workers report to the driver, second by second."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scorefleet.tasks.fleet import cluster
from scorefleet.tasks.fleet.every_second import EverySecond
from scorefleet.tasks.training.recorder import Message, Recorder

SILENT_S = 60.0
"""After so long without a message people are told why that may be."""


@ray.remote(num_cpus=0)
class Mailbox:
    """Keeps messages until the driver fetches them; workers never wait for it."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    def put(self, step: int, metrics: dict[str, float]) -> None:
        """Leave the metrics of a step."""
        self._messages.append((step, metrics))

    def take(self) -> list[Message]:
        """Fetch what has come since the last call."""
        messages, self._messages = self._messages, []
        return messages


def mailbox_here() -> Any:
    """A mailbox on this node: one on another could be lost with what is in it."""
    here = NodeAffinitySchedulingStrategy(cluster.this_node(), soft=False)
    return Mailbox.options(scheduling_strategy=here).remote()


class Watch(EverySecond):
    """Empties a mailbox once a second while the block runs; where nothing comes for a minute, `silent` says why."""

    def __init__(self, mailbox: Any, recorder: Recorder, silent: Callable[[], None]):
        super().__init__()
        self._mailbox, self._recorder, self._silent = mailbox, recorder, silent
        self._heard = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is None:
            self._empty()

    def look(self) -> None:
        """Empty the mailbox, and have it said why nothing comes."""
        self._empty()
        if time.monotonic() - self._heard > SILENT_S:
            self._heard = time.monotonic()
            self._silent()

    def _empty(self) -> None:
        messages: list[Message] = ray.get(self._mailbox.take.remote())
        if messages:
            self._heard = time.monotonic()
            self._recorder.record(messages)
