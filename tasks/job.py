"""A store to fill, as fleets are told of it, and what they answer."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from tasks.mcmc.moments import Moments
from tasks.store.entry import Entry


class Blocks(Protocol):
    """What chains of a block do, as far as it matters here; frozen classes of chains have more."""

    @property
    def block_size(self) -> int:
        """Chains that advance together."""
        ...

    @property
    def num_segments(self) -> int:
        """Commits a block."""
        ...


Program = TypeVar("Program", bound=Blocks)


@dataclass(frozen=True)
class Job(Generic[Program]):
    """The program of a store's blocks, and how many chains it holds."""

    program: Program
    num_chains: int
    store: str

    @property
    def num_blocks(self) -> int:
        """Blocks that hold the chains; the last may be only partly kept."""
        return -(-self.num_chains // self.program.block_size)


class Advanced(NamedTuple):
    """A segment that is committed, and how its chains lay, where they were drawn just now."""

    entry: Entry
    moments: Moments | None = None
