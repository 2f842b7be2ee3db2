"""Step 1: read the data, check them, split them, keep them as Arrow.

Leaves `train.arrow`, `validation.arrow`, `test.arrow` (Arrow IPC, uncompressed, so that readers map them
into memory), `schema.json` (how to standardise), `statistics.json` and `reading.json` (how the data were read).
The data are read whole, into memory.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from scorefleet.tasks import config
from scorefleet.tasks.console import notify
from scorefleet.tasks.dag.artifacts import Dataset
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.schema import DataSchema, LabelColumn, shape_of
from scorefleet.tasks.data.source import Data, read_data
from scorefleet.tasks.data.splitting import content_of, is_grid, split_rows
from scorefleet.tasks.data.standardise import describe, fit
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.shards import logical_digest, rows_of, type_name


def prepare(config: config.Prepare, context: Context) -> Dataset:
    """Everything that later steps know about the data."""
    data = read_data(config)
    if context.reads not in (None, data.source):
        raise DataError(f"{config.data} was changed while it was read: run the command again")
    splits, schema, repeats = _split(data, config, context.seed)
    for name, indices in splits.items():
        objects.replace(context.folder, f"{name}.arrow", _to_ipc(data.table.take(pa.array(indices))))
    statistics = {c.name: describe(rows_of(data.table[c.name], c.size)) for c in schema.columns}
    objects.replace(context.folder, "statistics.json", json.dumps(statistics, indent=2).encode())
    notes = [*data.notes, *([repeats.words] if repeats.share else [])]
    for note in notes:
        notify(f"{'prepare':<8} {note}")
    reading = {"notes": notes, "share_of_repeated_rows": repeats.share}
    objects.replace(context.folder, "reading.json", json.dumps(reading, indent=2).encode())
    context.journal.metrics({"data/share_of_repeated_rows": repeats.share}, step=0)
    objects.replace(context.folder, "schema.json", schema.to_json().encode())
    num_rows = {name: len(indices) for name, indices in splits.items()}
    return Dataset(str(context.folder), data_digest(data.table, schema), num_rows, schema.dim)


def check_data(config: config.Prepare, seed: int) -> None:
    """Raise what `prepare` would refuse; nothing is written."""
    _split(read_data(config), config, seed)


def read_split(folder: Path, split: str) -> pa.Table:
    """The rows of a split (`train`, `validation`, `test`), mapped into memory rather than read."""
    with pa.memory_map(str(folder / f"{split}.arrow")) as source:
        return pa.ipc.open_file(source).read_all()


def data_digest(table: pa.Table, schema: DataSchema) -> str:
    """sha256 of all rows in order, the shape of their arrays and which column is the label; not of files."""
    shapes = {column.name: column.shape for column in schema.columns}
    identity = [logical_digest(table), shapes, schema.label and schema.label.name]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


@dataclass(frozen=True)
class Repeats:
    """The share of rows that equal an earlier one, and what that means for the splits."""

    share: float
    words: str


def _repeats(content: np.ndarray, is_spread: bool) -> Repeats:
    num_repeated = len(content) - len(np.unique(content))
    share = num_repeated / len(content)
    where = (
        "there are fewer possible rows than rows, so they lie in all splits" if is_spread else "they lie in its split"
    )
    return Repeats(share, f"{num_repeated:,} of {len(content):,} rows ({share:.0%}) equal an earlier row: {where}")


def _split(data: Data, config: config.Prepare, seed: int) -> tuple[dict[str, np.ndarray], DataSchema, Repeats]:
    """The rows of each split, how to standardise them, and how many are repeated."""
    content = content_of(data.table, data.label)
    is_spread = is_grid(data.table, data.label, content)
    splits = split_rows(content, config.validation_fraction, config.test_fraction, seed, is_spread)
    return splits, _fit(data.table, data.label, splits["train"]), _repeats(content, is_spread)


def _fit(table: pa.Table, label: str | None, training: np.ndarray) -> DataSchema:
    columns = []
    for field in table.schema:
        if field.name != label:
            shape = shape_of(field)
            rows = rows_of(table[field.name], int(np.prod(shape)))
            columns.append(fit(field.name, shape, rows, training))
    return DataSchema(tuple(columns), LabelColumn(label, type_name(table.field(label).type)) if label else None)


def _to_ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()
