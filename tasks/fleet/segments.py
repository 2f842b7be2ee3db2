"""A segment of a block of chains: made, committed, and its moments told to whoever asked for it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from scorefleet.tasks.fleet.job import Advanced
from scorefleet.tasks.mcmc.diagnostics.moments import Moments, moments_of
from scorefleet.tasks.store.manifest import SampleStore


class Made(NamedTuple):
    """A segment before it is committed: rows, the chain state after them, and facts that are no function of who made
    it.
    """

    table: pa.Table
    state: dict[str, np.ndarray]
    facts: dict[str, Any]


def advanced(
    uri: str,
    block: int,
    segment: int,
    make: Callable[[dict[str, np.ndarray] | None], Made],
    hardware: dict[str, Any],
) -> Advanced:
    """A segment of a store: as it was committed, or made now from the state before it."""
    store = SampleStore(uri)
    entry = store.committed(block, segment)
    if entry is not None:
        return Advanced(entry)
    made = make(store.state_before(block, segment))
    entry = store.commit(block, segment, made.table, made.state, made.facts | hardware)
    return Advanced(entry, moments_in(made.table))


def moments_in(table: pa.Table) -> Moments | None:
    """Of the positions of a segment, whose rows are ordered by draw and chain; None of rows that have none."""
    if "position" not in table.column_names:
        return None
    column = table["position"].combine_chunks()
    kept = len(table["chain"].unique())
    return moments_of(column.flatten().to_numpy().reshape(-1, kept, column.type.list_size))
