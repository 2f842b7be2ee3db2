"""What makes the segments of a job: a fleet of Ray actors over many machines, or this process alone.

Workers own devices; blocks own randomness and state. A segment of a block is a pure function of (program, block,
segment) and its commit is put-if-absent, so a store does not depend on how many workers there were, which died, or
what ran twice.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from scorefleet.tasks.fleet.job import Advanced
from scorefleet.tasks.store.spool import Spool


class Fleet(ABC):
    """Workers that make every segment of a job."""

    @abstractmethod
    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of a worker returns, of whichever is there first."""

    @abstractmethod
    def run(self, job: Any, on_commit: Callable[[Any], None]) -> None:
        """Every segment of every block, a block's segments in order, each told to `on_commit` when it is made."""

    @abstractmethod
    def dismiss(self) -> None:
        """Give the workers' places back."""

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
