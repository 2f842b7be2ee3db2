"""Brings what remote workers report to the driver: a progress line, and metrics in the journal."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scorefleet.tasks.fleet import cluster
from scorefleet.tasks.fleet.every_second import EverySecond
from scorefleet.tasks.fleet.progress import Progress
from scorefleet.tasks.records.journal import Journal

Message = tuple[int, dict[str, float]]

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
    """Empties a mailbox once a second while the block runs; where nothing comes for a minute, `silent` says why.

    Steps that are repeated, since training went on from a checkpoint before them, are in the journal once.
    """

    def __init__(self, mailbox: Any, label: str, total: int, unit: str, journal: Journal, silent: Callable[[], None]):
        super().__init__()
        self._mailbox, self._journal, self._silent = mailbox, journal, silent
        self._heard = time.monotonic()
        self._progress = Progress(label, total, unit)
        entries = [entry for entry in journal.read(0)[0] if entry["kind"] == "metrics"]
        self._recorded = {(key, entry["step"]) for entry in entries for key in entry["values"]}

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
        for step, metrics in messages:
            news = {key: value for key, value in metrics.items() if (key, step) not in self._recorded}
            if news:
                self._journal.metrics(news, step)
                self._recorded |= {(key, step) for key in news}
        if messages:
            self._heard = time.monotonic()
            step, metrics = messages[-1]
            note = ", ".join(
                f"{name.rpartition('/')[2].replace('_', ' ')} {value:.4f}" for name, value in metrics.items()
            )
            self._progress.update(step, note)
