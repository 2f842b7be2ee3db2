"""A store to fill, as fleets are told of it, and what they answer."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from scorefleet.tasks.mcmc.diagnostics.moments import Moments
from scorefleet.tasks.store.entry import Entry
from scorefleet.tasks.store.layout import Layout

Program = TypeVar("Program")


@dataclass(frozen=True)
class Job(Generic[Program]):
    """What the chains of a store do, and which of their draws each block and segment holds."""

    program: Program
    layout: Layout
    store: str

    @property
    def num_blocks(self) -> int:
        """Blocks that hold the chains."""
        return self.layout.num_blocks

    def num_segments(self, block: int) -> int:
        """Commits of a block."""
        return self.layout.num_segments(block)


class Advanced(NamedTuple):
    """A segment that is committed, and how its chains lay, where they were drawn just now."""

    entry: Entry
    moments: Moments | None = None
