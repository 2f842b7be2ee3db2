"""Step 1: read the data, check them, split them, keep them as Arrow.

Leaves `train.arrow`, `validation.arrow`, `test.arrow` (Arrow IPC, uncompressed, so that readers map them
into memory), `schema.json` (how to standardise) and `statistics.json`. The data are read whole, into memory.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks import config
from tasks.artifacts import Dataset
from tasks.context import Context
from tasks.errors import UsageError
from tasks.store import bundled, objects
from tasks.store.checks import check
from tasks.store.files import paths_of, read_files
from tasks.store.schema import DataSchema, LabelColumn, rows_of, shape_of
from tasks.store.shards import logical_digest, type_name
from tasks.store.splitting import content_of, split_rows
from tasks.store.standardise import describe, fit


def prepare(config: config.Prepare, context: Context) -> Dataset:
    """Everything that later steps know about the data."""
    table, label = _read(config)
    table = check(table, label, config.data)
    content = content_of(table, label)
    splits = split_rows(content, config.validation_fraction, config.test_fraction, context.seed)
    schema = _fit(table, label, splits["train"])
    for name, indices in splits.items():
        objects.replace(context.folder, f"{name}.arrow", _to_ipc(table.take(pa.array(indices))))
    statistics = {c.name: describe(rows_of(table[c.name], c.size)) for c in schema.columns}
    objects.replace(context.folder, "statistics.json", json.dumps(statistics, indent=2).encode())
    objects.replace(context.folder, "schema.json", schema.to_json().encode())
    num_rows = {name: len(indices) for name, indices in splits.items()}
    return Dataset(str(context.folder), data_digest(table, schema), num_rows, schema.dim)


def read_split(folder: Path, split: str) -> pa.Table:
    """The rows of a split (`train`, `validation`, `test`), mapped into memory rather than read."""
    with pa.memory_map(str(folder / f"{split}.arrow")) as source:
        return pa.ipc.open_file(source).read_all()


def read_schema(folder: Path) -> DataSchema:
    """The schema of prepared data."""
    return DataSchema.from_json((folder / "schema.json").read_text(encoding="utf-8"))


def source_digest(config: config.Prepare) -> str:
    """sha256 of what `prepare.data` names, so that changed data run again; `DataError` without it."""
    digest = hashlib.sha256()
    if bundled.is_bundled(config.data):
        digest.update(f"{config.data} {version('scikit-learn')}".encode())
        return digest.hexdigest()
    for path in paths_of(_folder(config)):
        with path.open("rb") as file:
            digest.update(json.dumps([path.name, hashlib.file_digest(file, "sha256").hexdigest()]).encode())
    return digest.hexdigest()


def data_digest(table: pa.Table, schema: DataSchema) -> str:
    """sha256 of all rows in order, the shape of their arrays and which column is the label; not of files."""
    shapes = {column.name: column.shape for column in schema.columns}
    identity = [logical_digest(table), shapes, schema.label and schema.label.name]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _read(config: config.Prepare) -> tuple[pa.Table, str | None]:
    """The table and the name of its label."""
    if bundled.is_bundled(config.data):
        table, label = bundled.load(config.data)
        return table, config.label or label
    return read_files(_folder(config)), config.label


def _folder(config: config.Prepare) -> Path:
    if not config.data:
        raise UsageError("prepare.data is not set: give a file, a folder or one of " + ", ".join(bundled.NAMES))
    return objects.folder_of(config.data)


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
