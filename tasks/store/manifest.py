"""A store of drawn rows that can be killed at any moment, and whose result does not depend on who wrote it.

A segment of a block is one commit: its rows (`shards/`) and the chain state after them (`states/`) are put
first, under names that hold their sha256; then one small record (`commits/`) that names both. The record is
put-if-absent, so of several writers one wins and all see what it wrote; without the record the rest is
litter that nothing reads. Publication writes `manifest.parquet`, then `dataset.json`, which makes the store
whole.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import safetensors.numpy

from tasks.errors import StorageError
from tasks.store import objects
from tasks.store.shards import from_parquet, logical_digest, to_parquet

MANIFEST = "manifest.parquet"
DATASET = "dataset.json"


@dataclass(frozen=True)
class Entry:
    """A committed segment: where its rows and its chain state are, and what proves them."""

    block: int
    segment: int
    path: str
    rows: int
    bytes: int
    sha256: str
    digest: str
    state_path: str
    state_sha256: str
    facts: dict[str, Any]


class SampleStore:
    """The store under a folder; `writable=False` leaves the folder as it is, which must then exist."""

    def __init__(self, uri: str, writable: bool = True):
        self.uri = uri
        self._objects = objects.open_store(uri, writable)

    def committed(self, block: int, segment: int) -> Entry | None:
        """The entry of a segment, or None while nobody has committed it."""
        path = _commit_path(block, segment)
        if not objects.exists(self._objects, path):
            return None
        return Entry(**_parse(path, objects.read(self._objects, path)))

    def commit(
        self, block: int, segment: int, table: pa.Table, state: dict[str, np.ndarray], facts: dict[str, Any]
    ) -> Entry:
        """Keep a segment's rows and the chain state after it, together or not at all.

        Returns what is committed: another writer's entry if it was first. `facts` must be JSON.
        """
        data, state_data = to_parquet(table), _to_safetensors(state)
        sha256, state_sha256 = _sha256(data), _sha256(state_data)
        name = f"{block:06}-{segment:04}"
        entry = Entry(
            block=block,
            segment=segment,
            path=f"shards/{name}-{sha256[:12]}.parquet",
            rows=table.num_rows,
            bytes=len(data),
            sha256=sha256,
            digest=logical_digest(table),
            state_path=f"states/{name}-{state_sha256[:12]}.safetensors",
            state_sha256=state_sha256,
            facts=facts,
        )
        record = json.dumps(dataclasses.asdict(entry), allow_nan=False).encode()
        objects.put_if_absent(self._objects, entry.path, data)
        objects.put_if_absent(self._objects, entry.state_path, state_data)
        objects.put_if_absent(self._objects, _commit_path(block, segment), record)
        winner = self.committed(block, segment)
        assert winner is not None
        return winner

    def load_state(self, entry: Entry) -> dict[str, np.ndarray]:
        """The chain state after a segment; `StorageError` when it is not what was committed."""
        return safetensors.numpy.load(self._checked(entry.state_path, entry.state_sha256))

    def publish(self, entries: list[Entry], description: dict[str, Any]) -> str:
        """Make the store whole and return its logical digest: of all rows by block and segment.

        A store that is published already stays as it is; `StorageError` if it holds other rows.
        """
        entries = sorted(entries, key=lambda entry: (entry.block, entry.segment))
        objects.put_if_absent(self._objects, MANIFEST, to_parquet(_to_table(entries)))
        manifest = objects.read(self._objects, MANIFEST)  # perhaps an earlier try's, by another library version
        document = {
            **description,
            "digest": _digest(entries),
            "num_rows": sum(entry.rows for entry in entries),
            "num_shards": len(entries),
            "manifest_sha256": _sha256(manifest),
        }
        if from_parquet(manifest) != _to_table(entries):
            raise StorageError(f"{self.uri}/{MANIFEST} lists other shards: remove the folder and run again")
        objects.put_if_absent(self._objects, DATASET, json.dumps(document, indent=2, allow_nan=False).encode())
        return self.description()["digest"]

    def description(self) -> dict[str, Any]:
        """What `publish` was given, with `digest`, `num_rows`, `num_shards`, `manifest_sha256`."""
        if not objects.exists(self._objects, DATASET):
            raise StorageError(f"{self.uri} holds no finished samples: {DATASET} is missing, run the pipeline again")
        return _parse(DATASET, objects.read(self._objects, DATASET))

    def entries(self) -> list[Entry]:
        """The published entries in the order of block and segment, from a manifest that is proven whole."""
        table = from_parquet(self._checked(MANIFEST, self.description()["manifest_sha256"]))
        return [Entry(**row | {"facts": json.loads(row["facts"])}) for row in table.to_pylist()]

    def dataset(self) -> ds.Dataset:
        """The published rows in the order of block and segment; every page is checked as it is read."""
        folder = objects.folder_of(self.uri)
        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        shards = [str(folder / entry.path) for entry in self.entries()]
        return ds.dataset(shards, format=ds.ParquetFileFormat(default_fragment_scan_options=options))

    def _checked(self, path: str, sha256: str) -> bytes:
        data = objects.read(self._objects, path)
        if _sha256(data) != sha256:
            raise StorageError(f"{self.uri}/{path} is damaged: its sha256 is not the recorded one, restore it")
        return data


def _commit_path(block: int, segment: int) -> str:
    return f"commits/{block:06}-{segment:04}.json"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _parse(path: str, data: bytes) -> dict[str, Any]:
    try:
        return json.loads(data)
    except ValueError as error:
        raise StorageError(f"{path} is damaged: it is not JSON, restore it") from error


def _digest(entries: list[Entry]) -> str:
    """Of the rows alone, not of when, where or by how many they were made."""
    rows = [[entry.block, entry.segment, entry.rows, entry.digest] for entry in entries]
    return _sha256(json.dumps(rows).encode())


def _to_safetensors(state: dict[str, np.ndarray]) -> bytes:
    """safetensors reads an array's memory as it lies, so it must lie in row-major order."""
    return safetensors.numpy.save({name: np.asarray(value, order="C") for name, value in state.items()})


def _to_table(entries: list[Entry]) -> pa.Table:
    rows = [dataclasses.asdict(entry) | {"facts": json.dumps(entry.facts)} for entry in entries]
    return pa.Table.from_pylist(rows)
