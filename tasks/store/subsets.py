"""Small parts of large tables and sample stores."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import SampleStore


def one_draw_per_chain(store: SampleStore, max_chains: int, seed: int) -> pa.Table:
    """A random draw of each of at most `max_chains` random chains, in their order: independent rows. No shard is read
    but theirs, so there are at most `max_chains`.
    """
    layout, random = Layout.of(store.description()), np.random.default_rng(seed)
    numbers = layout.chain_numbers()
    chains = numbers[random.choice(len(numbers), min(len(numbers), max_chains), replace=False)]
    wanted = np.full(numbers[-1] + 1, -1)
    wanted[chains] = random.integers(layout.num_draws, size=len(chains))
    parts = []
    rows = zip((chains // layout.block_size).tolist(), wanted[chains].tolist(), strict=True)
    places = {(block, layout.segment_of(block, draw)) for block, draw in rows}
    for batch in store.batches(places):
        is_wanted = wanted[batch["chain"].to_numpy()] == batch["draw"].to_numpy()
        parts.append(batch.filter(pa.array(is_wanted)))
    return pa.Table.from_batches(parts).sort_by("chain")


MAX_ROWS = 20_000


def some_rows(table: pa.Table, seed: int, max_rows: int = MAX_ROWS) -> pa.Table:
    """All rows, or as many random ones as a comparison can bear, in their order."""
    if len(table) <= max_rows:
        return table
    return table.take(np.sort(np.random.default_rng(seed).choice(len(table), max_rows, replace=False)))


def whole_chains(store: SampleStore, num_chains: int) -> pa.Table:
    """All draws of the first chains, ordered by chain and draw, without the user's columns; with log densities if the
    store has them. No block is read but theirs, and what is returned is in memory once.
    """
    layout = Layout.of(store.description())
    numbers = layout.chain_numbers()[:num_chains]
    blocks = range(int(numbers[-1]) // layout.block_size + 1)
    places = {(block, segment) for block in blocks for segment in range(layout.num_segments(block))}
    wanted = ("chain", "superchain", "draw", "position", "log_density", "accepted")
    arrays, num_rows = dict[str, np.ndarray](), 0
    for whole in store.batches(places, wanted):
        batch = whole.filter(pc.less_equal(whole["chain"], numbers[-1]))
        at = np.searchsorted(numbers, batch["chain"].to_numpy()) * layout.num_draws + batch["draw"].to_numpy()
        num_rows += len(at)
        for name in batch.schema.names:
            values = _values(batch[name])
            if name not in arrays:
                arrays[name] = np.empty((num_chains * layout.num_draws, *values.shape[1:]), values.dtype)
            arrays[name][at] = values
    assert num_rows == num_chains * layout.num_draws
    return pa.table({name: _column(values) for name, values in arrays.items()})


def _values(column: pa.Array) -> np.ndarray:
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy()
    return column.flatten().to_numpy().reshape(len(column), -1)


def _column(values: np.ndarray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def vectors(column: pa.ChunkedArray) -> np.ndarray:
    """A column of fixed-size lists as an array [row, dim]."""
    flat = pc.list_flatten(column)
    values = flat.chunk(0) if flat.num_chunks == 1 else flat  # of several chunks a copy is made
    return values.to_numpy().reshape(len(column), -1)
