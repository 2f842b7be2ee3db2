"""The draws of a store as a torch data set, in which every rank and worker reads shards of its own."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import torch
from torch.utils.data import IterableDataset, get_worker_info

from scorefleet.tasks.store import objects
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.shards import from_parquet, rows_of


class Draws(IterableDataset[dict[str, torch.Tensor]]):
    """Rows as {column: tensor}; shard k belongs to worker `k mod num_workers`, counted over all ranks.

    Ranks differ in their number of rows by up to a shard a worker. `columns` are all where not given.
    """

    def __init__(self, uri: str, columns: Sequence[str] | None = None, rank: int = 0, num_ranks: int = 1):
        if not 0 <= rank < num_ranks:
            raise ValueError(f"rank must be from 0 to num_ranks - 1, {num_ranks - 1}, but got {rank}")
        self.uri, self.columns, self.rank, self.num_ranks = uri, columns, rank, num_ranks
        self.entries = SampleStore(uri, writable=False).entries()

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        number, num_workers = (worker.id, worker.num_workers) if worker else (0, 1)
        store = objects.open_store(self.uri, writable=False)
        for entry in self.entries[self.rank * num_workers + number :: self.num_ranks * num_workers]:
            yield from _rows(from_parquet(objects.read(store, entry.path), rows=entry.rows), self.columns)


def _rows(table: pa.Table, columns: Sequence[str] | None) -> Iterator[dict[str, torch.Tensor]]:
    tensors = {name: _tensor(table, name) for name in columns or table.column_names}
    return ({name: tensor[row] for name, tensor in tensors.items()} for row in range(len(table)))


def _tensor(table: pa.Table, name: str) -> torch.Tensor:
    kind = table.schema.field(name).type
    is_list = pa.types.is_fixed_size_list(kind)
    rows = rows_of(table[name], kind.list_size if is_list else 1)
    return torch.from_numpy(rows.copy() if is_list else rows[:, 0].copy())
