"""Finds and reads what `prepare.data` names, leaves out the columns that are no data, and checks the rest."""

import difflib
import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from scorefleet.tasks import config
from scorefleet.tasks.data import bundled, no_data
from scorefleet.tasks.data.checks import check
from scorefleet.tasks.data.files import Source, digest_of, read_source
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.store.places import folder_of


@dataclass(frozen=True)
class Data:
    """The table as it is modelled, the digest of what it was read from, and what a user should know of the reading."""

    table: pa.Table
    label: str | None
    source: str
    notes: tuple[str, ...]


def source_digest(config: config.Prepare) -> str:
    """sha256 of what `prepare.data` names, so that changed data run again; `DataError` without it."""
    return _bundled_digest(config.data) if bundled.is_bundled(config.data) else digest_of(_folder(config))


def _bundled_digest(name: str) -> str:
    return hashlib.sha256(f"{name} {version('scikit-learn')}".encode()).hexdigest()


def read_data(config: config.Prepare) -> Data:
    """The data without the columns that are none, checked."""
    if bundled.is_bundled(config.data):
        table, own_label = bundled.load(config.data)
        source, label = Source(table, _bundled_digest(config.data), ()), config.label or own_label
    else:
        source, label = read_source(_folder(config), config.csv), config.label
    table, notes = _chosen(source.table, label, config)
    return Data(check(table, label, config.data), label, source.digest, (*source.notes, *notes))


def _chosen(table: pa.Table, label: str | None, config: config.Prepare) -> tuple[pa.Table, tuple[str, ...]]:
    """The table without the columns that `config` drops, and without those that are no data, which are told."""
    for key in ("drop", "keep"):
        for name in getattr(config, key):
            if name not in table.column_names:
                nearest = difflib.get_close_matches(name, table.column_names, 1, cutoff=0) or ["none"]
                raise DataError(
                    f"{config.data} has no column {name!r} for prepare.{key}: the nearest is {nearest[0]!r}"
                )
    table = table.drop_columns(list(dict.fromkeys(config.drop)))  # Arrow would drop a neighbour for the second
    found = no_data.find(table, [label, *config.keep])
    if found and not {*table.column_names} - {*found, label}:
        told = ", ".join(f"{name!r} is {kind}" for name, kind in found.items())
        raise DataError(f"{config.data} has no columns of data: {told}; name those to model in --prepare.keep")
    notes = tuple(
        f'column {name!r} is left out: it is {kind} (--prepare.keep "[{name}]" models it)'
        for name, kind in found.items()
    )
    return table.drop_columns(list(found)), notes


def _folder(config: config.Prepare) -> Path:
    if not config.data:
        raise UsageError("prepare.data is not set: give a file, a folder or one of " + ", ".join(bundled.NAMES))
    scheme, is_uri, _ = config.data.partition("://")
    if is_uri and "/" not in scheme and scheme.lower() != "file":
        raise UsageError(
            f"{scheme}:// cannot be opened: only a folder or file:// can be here, so download the data, and give the "
            "file in prepare.data"
        )
    return folder_of(config.data)
