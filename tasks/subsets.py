"""Small parts of large tables and sample stores."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tasks.store.manifest import SampleStore


def one_draw_per_chain(store: SampleStore, max_chains: int, seed: int) -> pa.Table:
    """A random draw of each of at most `max_chains` random chains, in their order: independent rows."""
    description, random = store.description(), np.random.default_rng(seed)
    num_chains, num_draws = description["num_chains"], description["program"]["num_draws"]
    chains = random.choice(num_chains, min(num_chains, max_chains), replace=False)
    wanted = np.full(num_chains, -1)
    wanted[chains] = random.integers(num_draws, size=len(chains))
    parts = []
    for batch in store.dataset().to_batches():
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
    wanted, dataset = ("chain", "superchain", "draw", "position", "log_density", "accepted"), store.dataset()
    columns = [name for name in wanted if name in dataset.schema.names]
    table = dataset.to_table(columns=columns, filter=ds.field("chain") < num_chains)
    return table.sort_by([("chain", "ascending"), ("draw", "ascending")])


def vectors(column: pa.ChunkedArray) -> np.ndarray:
    """A column of fixed-size lists as an array [row, dim]."""
    return pc.list_flatten(column).to_numpy().reshape(len(column), -1)
