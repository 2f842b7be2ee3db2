"""A fleet of one worker in this process: no Ray, and the same bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from scorefleet.tasks.fleet.fleet import Fleet
from scorefleet.tasks.fleet.worker import Worker


class InProcess(Fleet):
    """Makes every segment of a job, one after the other."""

    def __init__(self, kind: type[Worker], arguments: tuple[Any, ...]):
        with same_threads():
            self._worker: Any = kind(*arguments)
        if self._worker.refusal is not None:
            raise self._worker.refusal

    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of the worker returns."""
        with same_threads():
            torch.set_num_threads(1)  # as the worker has it
            return getattr(self._worker, method)(*arguments)

    def run(self, job: Any, on_commit: Callable[[Any], None]) -> None:
        """Every segment of every block, in order."""
        for block in range(job.num_blocks):
            for segment in range(job.num_segments(block)):
                on_commit(self.ask("advance", job, block, segment))

    def dismiss(self) -> None:
        """Nothing has a place."""


@contextmanager
def same_threads() -> Iterator[None]:
    """Leave torch with as many threads as the process had given it."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
