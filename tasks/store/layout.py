"""Which rows each segment of a store must hold: every (chain, draw) of the run is in exactly one of them.

Block b has chains `b size ... (b + 1) size - 1`, as far as there are so many, and segment s of it the draws
`s length ... (s + 1) length - 1`. So when every segment is there once and holds its own rows once, the store holds
every (chain, draw) once, and no more than one shard need be in memory to prove it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tasks.errors import StorageError

LARGEST = 2**48


class Rows(NamedTuple):
    """How many rows of a segment are not there, are there more than once, and belong to another segment."""

    num_missing: int
    num_repeated: int
    num_foreign: int


@dataclass(frozen=True)
class Layout:
    """How chains and draws are cut into blocks and segments."""

    num_chains: int
    block_size: int
    num_draws: int
    draws_per_segment: int

    @classmethod
    def of(cls, description: dict[str, Any]) -> "Layout":
        """From `dataset.json`; `StorageError` when that does not say it."""
        program = description.get("program")
        known = {"num_chains": description.get("num_chains")} | (program if isinstance(program, dict) else {})
        values = {name: known.get(name) for name in cls.__dataclass_fields__}
        for name, value in values.items():
            if type(value) is not int or not 1 <= value < LARGEST:
                raise StorageError(f"dataset.json must say {name}, a whole number of at least 1, but says {value!r}")
        return cls(**values)  # pyright: ignore[reportArgumentType]  (just proven to be whole numbers)

    @property
    def num_blocks(self) -> int:
        """Blocks that hold the chains; the last may be only partly kept."""
        return -(-self.num_chains // self.block_size)

    @property
    def num_segments(self) -> int:
        """Segments of each block."""
        return -(-self.num_draws // self.draws_per_segment)

    def places(self) -> Iterator[tuple[int, int]]:
        """Every (block, segment), in order."""
        return ((block, segment) for block in range(self.num_blocks) for segment in range(self.num_segments))

    def has(self, block: int, segment: int) -> bool:
        """Whether there is such a segment."""
        return 0 <= block < self.num_blocks and 0 <= segment < self.num_segments

    def chains(self, block: int) -> range:
        """The chains of a block that are kept."""
        return range(block * self.block_size, min((block + 1) * self.block_size, self.num_chains))

    def draws(self, segment: int) -> range:
        """The draws of a segment."""
        return range(segment * self.draws_per_segment, min((segment + 1) * self.draws_per_segment, self.num_draws))

    def num_rows(self, block: int, segment: int) -> int:
        """Rows of a segment."""
        return len(self.chains(block)) * len(self.draws(segment))

    def compare(self, block: int, segment: int, chain: np.ndarray, draw: np.ndarray) -> Rows:
        """What is wrong with the rows of a segment: `Rows(0, 0, 0)` when each (chain, draw) of it is there once."""
        chains, draws = self.chains(block), self.draws(segment)
        if _is_in_order(chains, draws, chain, draw):
            return Rows(0, 0, 0)
        chain, draw = chain.astype(np.int64) - chains.start, draw.astype(np.int64) - draws.start
        is_own = (chain >= 0) & (chain < len(chains)) & (draw >= 0) & (draw < len(draws))
        cells = draw[is_own] * len(chains) + chain[is_own]
        counts = np.bincount(cells, minlength=len(chains) * len(draws))
        return Rows(int((counts == 0).sum()), int((counts > 1).sum()), int((~is_own).sum()))


def _is_in_order(chains: range, draws: range, chain: np.ndarray, draw: np.ndarray) -> bool:
    """Whether rows lie as they are written, by draw and chain: ten times as quick to see as to count them."""
    shape = len(draws), len(chains)
    if len(chain) != len(draw) or len(chain) != len(draws) * len(chains):
        return False
    of_chains, of_draws = np.arange(chains.start, chains.stop), np.arange(draws.start, draws.stop)
    return bool((chain.reshape(shape) == of_chains).all() and (draw.reshape(shape) == of_draws[:, None]).all())
