"""Step of `retrain`: what is new in the data since the champion's snapshot, and whether they are still its kind.

Data that another model is needed for (columns missing, new, or of another type) are refused here; what has drifted is
told, and the caller decides. Leaves `news.json`.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Champion, Dataset, News
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.prepare import read_split
from scorefleet.tasks.data.schema import DataSchema, read_schema
from scorefleet.tasks.data.splitting import COPIES, content_of, is_grid, mix, occurrence_of
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.judging.quality import coordinate_names
from scorefleet.tasks.retraining.drift import compare, out_of_range, schema_changes
from scorefleet.tasks.store import objects

SPLITS = ("train", "validation", "test")


def find_news(config: config.Retrain, context: Context, dataset: Dataset, champion: Champion) -> News:
    """Rows that arrived and departed, and how they differ from the others, in words."""
    known, now = snapshot(champion.data_uri), snapshot(dataset.uri)
    schema = read_schema(Path(champion.data_uri))
    _require_same_schema(schema, read_schema(Path(dataset.uri)), champion.model_uri)
    label = schema.label.name if schema.label else None
    ids = [_ids(table, label) for table in (known, now)]
    arrived = now.filter(pa.array(~np.isin(ids[1], ids[0])))
    has_stayed = np.isin(ids[0], ids[1])
    stayed, departed = known.filter(pa.array(has_stayed)), known.filter(pa.array(~has_stayed))
    drift = _drift(schema, {"known": known, "arrived": arrived, "stayed": stayed, "departed": departed}, context.seed)
    news = News(str(context.folder), len(arrived), len(departed), tuple(drift))
    objects.replace(context.folder, "news.json", json.dumps(dataclasses.asdict(news), indent=2).encode())
    return news


def snapshot(uri: str) -> pa.Table:
    """All rows of prepared data."""
    return pa.concat_tables(read_split(Path(uri), split) for split in SPLITS)


def fair_rows(dataset: Dataset, champion: Champion) -> pa.Table:
    """Held-out rows of the new data of which the champion has not learned, whatever its split was."""
    schema = read_schema(Path(dataset.uri))
    label = schema.label.name if schema.label else None
    held_out = pa.concat_tables(read_split(Path(dataset.uri), split) for split in SPLITS[1:])
    learned = content_of(read_split(Path(champion.data_uri), "train"), label)
    now = snapshot(dataset.uri)
    if is_grid(now, label, content_of(now, label)):  # common values lie in all splits
        contents, counts = np.unique(content_of(snapshot(champion.data_uri), label), return_counts=True)
        learned = learned[np.isin(learned, contents[counts <= COPIES])]
    return held_out.filter(pa.array(~np.isin(content_of(held_out, label), learned)))


def _ids(table: pa.Table, label: str | None) -> np.ndarray:
    """One number a row: its content, and which of its copies it is."""
    content = content_of(table, label)
    return mix(content, occurrence_of(content))


def _require_same_schema(known: DataSchema, now: DataSchema, model_uri: str) -> None:
    changes = schema_changes(known, now)
    if changes:
        raise DataError(
            f"the data are not those of {model_uri} any more: {'; '.join(changes)}. Fix them, or train another model "
            "with `scorefleet run --name`"
        )


def _drift(schema: DataSchema, tables: Mapping[str, pa.Table], seed: int) -> list[str]:
    rows = {name: schema.encode(table) for name, table in tables.items() if len(table)}
    names, found = coordinate_names(schema), list[str]()
    if "arrived" in rows:
        in_units = {name: rows[name].astype(np.float64) * schema.scale + schema.location for name in rows}
        found += out_of_range(in_units["known"], in_units["arrived"], names)
        found += compare(rows["known"], rows["arrived"], names, "The rows that have arrived", seed)
    if "departed" in rows and "stayed" in rows:
        found += compare(rows["stayed"], rows["departed"], names, "The rows that are gone", seed)
    return found
