"""Small parts of large tables and sample stores."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tasks.store.layout import Layout
from tasks.store.manifest import SampleStore


def one_draw_per_chain(store: SampleStore, max_chains: int, seed: int) -> pa.Table:
    """A random draw of each of at most `max_chains` random chains, in their order: independent rows. No shard is read
    but theirs, so there are at most `max_chains`.
    """
    description, random = store.description(), np.random.default_rng(seed)
    num_chains, program = description["num_chains"], description["program"]
    num_draws, size, length = (program[key] for key in ("num_draws", "block_size", "draws_per_segment"))
    chains = random.choice(num_chains, min(num_chains, max_chains), replace=False)
    wanted = np.full(num_chains, -1)
    wanted[chains] = random.integers(num_draws, size=len(chains))
    parts = []
    places = {(chain // size, wanted[chain] // length) for chain in chains}
    for batch in store.dataset(places).to_batches():
        is_wanted = wanted[batch["chain"].to_numpy()] == batch["draw"].to_numpy()
        parts.append(batch.filter(pa.array(is_wanted)))
    return pa.Table.from_batches(parts).sort_by("chain")


MAX_ROWS = 20_000


def some_rows(table: pa.Table, seed: int) -> pa.Table:
    """All rows, or as many random ones as a comparison can bear, in their order."""
    if len(table) <= MAX_ROWS:
        return table
    return table.take(np.sort(np.random.default_rng(seed).choice(len(table), MAX_ROWS, replace=False)))


def whole_chains(store: SampleStore, num_chains: int) -> pa.Table:
    """All draws of the first chains, ordered by chain and draw, without the user's columns; with log densities if the
    store has them.
    """
    description = store.description()
    layout = Layout.of(description)
    blocks = range(-(-min(num_chains, layout.num_chains) // layout.block_size))
    places = {(block, segment) for block in blocks for segment in range(layout.num_segments)}
    wanted = ("chain", "superchain", "draw", "position", "log_density", "accepted")
    dataset = store.dataset(places)
    columns = [name for name in wanted if name in dataset.schema.names]
    table = dataset.to_table(columns=columns, filter=ds.field("chain") < num_chains)
    return table.sort_by([("chain", "ascending"), ("draw", "ascending")])


def vectors(column: pa.ChunkedArray) -> np.ndarray:
    """A column of fixed-size lists as an array [row, dim]."""
    return pc.list_flatten(column).to_numpy().reshape(len(column), -1)
