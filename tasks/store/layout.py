"""Which rows each segment of a store must hold: every (chain, draw) of the run is in exactly one of them.

Block b has chains from `b size` on, at most `size` of them, and a segment of it has up to `length` draws of each. A
store that was extended keeps its segments and has more: draws go on in segments of their own behind the last, which may
be short, and chains that came later begin in a block of their own, since a block that is kept in part has dropped the
rest of its chains. So chain numbers can have gaps, and `block = chain // size` always.

When every segment is there once and holds its own rows once, the store holds every (chain, draw) once, and no more than
one shard need be in memory to prove it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from scorefleet.tasks.config.allowed import LARGEST_BLOCK
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.document import NAME as DATASET
from scorefleet.tasks.store.extents import Extent, count_of, extents_of

ROWS_PER_SHARD = 65_536

MOST_ROWS = LARGEST_BLOCK
"""Of the largest blocks that there can be, whose segments have one draw."""


def draws_per_segment(block_size: int) -> int:
    """As many draws of each chain of a block as a shard has room for, and at least one."""
    return max(1, ROWS_PER_SHARD // block_size)


class Rows(NamedTuple):
    """How many rows of a segment are not there, are there more than once, and belong to another segment."""

    num_missing: int
    num_repeated: int
    num_foreign: int


class _Part(NamedTuple):
    """Chains that came at one time, in blocks of their own, and the numbers of draws that they had in turn."""

    first_block: int
    num_blocks: int
    num_chains: int
    ends: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """How chains and draws are cut into blocks and segments; `extents` are the sizes that the store had in turn."""

    block_size: int
    draws_per_segment: int
    extents: tuple[Extent, ...]

    @classmethod
    def of(cls, description: dict[str, Any]) -> "Layout":
        """From `dataset.json`; `StorageError` when that does not say it."""
        program = description.get("program")
        known = {"num_chains": description.get("num_chains")} | (program if isinstance(program, dict) else {})
        names = ("num_chains", "num_draws", "block_size", "draws_per_segment")
        num_chains, num_draws, size, length = (count_of(DATASET, name, known.get(name)) for name in names)
        if min(size, num_chains) * min(length, num_draws) > MOST_ROWS:
            raise StorageError(f"{DATASET} is refused: its shards have {size:,} times {length:,} rows, and ours fewer")
        last = Extent(num_chains, num_draws)
        extents = extents_of(DATASET, description["extents"]) if "extents" in description else (last,)
        if extents[-1] != last:
            raise StorageError(f"{DATASET} is refused: its extents end with {extents[-1]}, and its program has {last}")
        return cls(size, length, extents)

    @property
    def num_chains(self) -> int:
        """Chains that are kept."""
        return self.extents[-1].num_chains

    @property
    def num_draws(self) -> int:
        """Draws of each chain."""
        return self.extents[-1].num_draws

    @property
    def total_rows(self) -> int:
        """Rows of the whole store."""
        return self.num_chains * self.num_draws

    @property
    def num_blocks(self) -> int:
        """Blocks that hold the chains; of those that came at one time the last may be only partly kept."""
        return self._parts[-1].first_block + self._parts[-1].num_blocks

    @property
    def num_places(self) -> int:
        """Segments of all blocks."""
        return sum(part.num_blocks * self._count_segments(part.ends) for part in self._parts)

    def num_segments(self, block: int) -> int:
        """Segments of a block."""
        return self._count_segments(self._part(block).ends)

    def places(self) -> Iterator[tuple[int, int]]:
        """Every (block, segment), in order."""
        return ((block, segment) for block in range(self.num_blocks) for segment in range(self.num_segments(block)))

    def has(self, block: int, segment: int) -> bool:
        """Whether there is such a segment."""
        return 0 <= block < self.num_blocks and 0 <= segment < self.num_segments(block)

    def chains(self, block: int) -> range:
        """The chains of a block that are kept."""
        part = self._part(block)
        end = part.first_block * self.block_size + part.num_chains
        return range(block * self.block_size, min((block + 1) * self.block_size, end))

    def chain_numbers(self) -> np.ndarray:
        """The numbers of all chains, in order."""
        firsts = ((part.first_block * self.block_size, part.num_chains) for part in self._parts)
        return np.concatenate([np.arange(first, first + count) for first, count in firsts])

    def draws(self, block: int, segment: int) -> range:
        """The draws of a segment."""
        start, length = 0, self.draws_per_segment
        for end in self._part(block).ends:
            count = -(-(end - start) // length)
            if segment < count:
                first = start + segment * length
                return range(first, min(first + length, end))
            segment, start = segment - count, end
        raise IndexError(f"block {block} has no such segment")

    def segment_of(self, block: int, draw: int) -> int:
        """The segment of a block that holds a draw."""
        before = [end for end in (0, *self._part(block).ends) if end <= draw]
        return self._count_segments(before[1:]) + (draw - before[-1]) // self.draws_per_segment

    def num_rows(self, block: int, segment: int) -> int:
        """Rows of a segment."""
        return len(self.chains(block)) * len(self.draws(block, segment))

    def compare(self, block: int, segment: int, chain: np.ndarray, draw: np.ndarray) -> Rows:
        """What is wrong with the rows of a segment: `Rows(0, 0, 0)` when each (chain, draw) of it is there once."""
        chains, draws = self.chains(block), self.draws(block, segment)
        if _is_in_order(chains, draws, chain, draw):
            return Rows(0, 0, 0)
        chain, draw = chain.astype(np.int64) - chains.start, draw.astype(np.int64) - draws.start
        is_own = (chain >= 0) & (chain < len(chains)) & (draw >= 0) & (draw < len(draws))
        cells = draw[is_own] * len(chains) + chain[is_own]
        counts = np.bincount(cells, minlength=len(chains) * len(draws))
        return Rows(int((counts == 0).sum()), int((counts > 1).sum()), int((~is_own).sum()))

    @cached_property
    def _parts(self) -> tuple[_Part, ...]:
        parts, first_block, before = list[_Part](), 0, 0
        for k, (num_chains, _) in enumerate(self.extents):
            if num_chains > before:
                ends = tuple(sorted({extent.num_draws for extent in self.extents[k:]}))
                num_blocks = -(-(num_chains - before) // self.block_size)
                parts.append(_Part(first_block, num_blocks, num_chains - before, ends))
                first_block, before = first_block + num_blocks, num_chains
        return tuple(parts)

    def _part(self, block: int) -> _Part:
        return next(part for part in self._parts if block < part.first_block + part.num_blocks)

    def _count_segments(self, ends: Sequence[int]) -> int:
        return sum(-(-(end - start) // self.draws_per_segment) for start, end in pairwise((0, *ends)))


def _is_in_order(chains: range, draws: range, chain: np.ndarray, draw: np.ndarray) -> bool:
    """Whether rows lie as they are written, by draw and chain: ten times as quick to see as to count them."""
    shape = len(draws), len(chains)
    if len(chain) != len(draw) or len(chain) != len(draws) * len(chains):
        return False
    of_chains, of_draws = np.arange(chains.start, chains.stop), np.arange(draws.start, draws.stop)
    return bool((chain.reshape(shape) == of_chains).all() and (draw.reshape(shape) == of_draws[:, None]).all())
