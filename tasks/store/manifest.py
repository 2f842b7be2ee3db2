"""A store of drawn rows that can be killed at any moment, and whose result does not depend on who wrote it.

A segment of a block is one commit: its rows (`shards/`) and the chain state after them (`states/`) are put
first, under names that hold their sha256; then one small record (`commits/`) that names both. The record is
put-if-absent, so of several writers one wins and all see what it wrote; without the record the rest is
litter that nothing reads. Publication writes `manifest.parquet`, then `dataset.json`, which makes the store
whole. A store that is extended is whole as it was until the same is done again: a manifest of its own name is put, and
then another `dataset.json` takes the place of the former at once.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import safetensors.numpy

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import document, merkle, objects
from scorefleet.tasks.store.entry import Entry, commit_path, entry_of, parse, shard_path, state_path, to_record
from scorefleet.tasks.store.shards import each_batch, each_table, encode, writer

DATASET = document.NAME
COLUMNS = pa.schema(
    [(field.name, pa.int64() if field.type is int else pa.string()) for field in dataclasses.fields(Entry)]
)
"""Those of the manifest: of an entry, with its facts as JSON."""

MANIFEST_ROWS = 4096
"""Entries that are in memory at a time."""


def manifest_path(description: dict[str, Any]) -> str:
    """Where `dataset.json` has the list of its shards: a file for each time that the store was extended."""
    extents = description.get("extents")
    number = len(extents) - 1 if isinstance(extents, list | tuple) else 0
    return f"manifest-{number:04}.parquet" if number > 0 else "manifest.parquet"


class SampleStore:
    """The store under a folder; `writable=False` leaves the folder as it is, which must then exist."""

    def __init__(self, uri: str, writable: bool = True):
        self.uri = uri
        self._objects = objects.open_store(uri, writable)

    def committed(self, block: int, segment: int) -> Entry | None:
        """The entry of a segment, or None while nobody has committed it."""
        path = commit_path(block, segment)
        if not objects.exists(self._objects, path):
            return None
        entry = entry_of(path, parse(path, objects.read(self._objects, path)))
        if (entry.block, entry.segment) != (block, segment):
            raise StorageError(f"{self.uri}/{path} is the record of {entry.name}: restore it")
        return entry

    def commit(
        self, block: int, segment: int, table: pa.Table, state: dict[str, np.ndarray], facts: dict[str, Any]
    ) -> Entry:
        """Keep a segment's rows and the chain state after it, together or not at all.

        Returns what is committed: another writer's entry if it was first. `facts` must be JSON.
        """
        state_data = to_safetensors(state)
        state_sha256 = _sha256(state_data)
        of_state = state_path(block, segment, state_sha256)
        with ThreadPoolExecutor(1) as beside:  # the disk is waited for while rows are packed
            kept = beside.submit(objects.put_if_absent, self._objects, of_state, state_data)
            shard = encode(table)
            entry = Entry(
                block=block,
                segment=segment,
                path=shard_path(block, segment, shard.sha256),
                rows=table.num_rows,
                bytes=len(shard.data),
                sha256=shard.sha256,
                digest=shard.digest,
                state_path=of_state,
                state_sha256=state_sha256,
                facts=facts,
            )
            objects.put_if_absent(self._objects, entry.path, shard.data)
            kept.result()
        objects.put_if_absent(self._objects, commit_path(block, segment), to_record(entry))
        winner = self.committed(block, segment)
        assert winner is not None
        return winner

    def load_state(self, entry: Entry) -> dict[str, np.ndarray]:
        """The chain state after a segment; `StorageError` when it is not what was committed."""
        return from_safetensors(entry.state_path, self._checked(entry.state_path, entry.state_sha256))

    def state_before(self, block: int, segment: int) -> dict[str, np.ndarray] | None:
        """The chain state that a segment goes on from; None for the first of its block."""
        if segment == 0:
            return None
        previous = self.committed(block, segment - 1)
        assert previous is not None
        return self.load_state(previous)

    def publish(self, entries: Iterable[Entry], description: dict[str, Any]) -> str:
        """Make the store whole and return the logical digest of its rows, by block and segment.

        `entries` are in that order, and are gone through more than once. A store that is published already stays as it
        is, unless this one is what it was extended to; `StorageError` if it holds other rows.
        """
        path = manifest_path(description)
        objects.put_if_absent(self._objects, path, to_manifest(entries))
        manifest = objects.read(self._objects, path)  # perhaps an earlier try's, by another library version
        if not _is_of(manifest, entries):
            raise StorageError(f"{self.uri}/{path} lists other shards: remove the folder and run again")
        whole = description | totals(entries) | {"manifest_sha256": _sha256(manifest)}
        data = document.seal(whole)
        objects.put_instead(self._objects, DATASET, data, lambda there: self._is_extended(there, data))
        return whole["digest"]

    def _is_extended(self, there: bytes, data: bytes) -> bool:
        """Whether `dataset.json` is of a store that was extended to another, by its sizes."""
        before, after = (document.unseal(f"{self.uri}/{DATASET}", one).get("extents", []) for one in (there, data))
        return len(before) < len(after) and after[: len(before)] == before

    def description(self) -> dict[str, Any]:
        """What `publish` was given, with the `totals` of its entries and `manifest_sha256`."""
        if not objects.exists(self._objects, DATASET):
            raise StorageError(f"{self.uri} holds no finished samples: {DATASET} is missing, run the pipeline again")
        return document.unseal(f"{self.uri}/{DATASET}", objects.read(self._objects, DATASET))

    def entries(self) -> list[Entry]:
        """The published entries in the order of block and segment, from a manifest that is proven whole."""
        return list(self.each_entry())

    def each_entry(self) -> Iterator[Entry]:
        """`entries`, of which a few thousand are in memory at a time."""
        description = self.description()
        data = self._checked(manifest_path(description), description["manifest_sha256"])
        return from_manifest(data, description["num_shards"])

    def dataset(self, places: Collection[tuple[int, int]] | None = None) -> ds.Dataset:
        """The published rows in the order of block and segment, or those of some (block, segment) alone; every page is
        checked as it is read.
        """
        shards = [entry.path for entry in self.each_entry() if places is None or (entry.block, entry.segment) in places]
        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        kind = ds.ParquetFileFormat(default_fragment_scan_options=options)
        return ds.dataset(shards, filesystem=objects.filesystem(self._objects), format=kind)

    def to_arrow(self) -> pa.Table:
        """Return all rows, in memory, in the order of block and segment."""
        return self.dataset().to_table()

    def batches(
        self, places: Collection[tuple[int, int]], wanted: Collection[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of some (block, segment), in order, a few thousand at a time and never more than a shard in memory;
        all columns, or those of `wanted` that there are.
        """
        for entry in self.each_entry():
            if (entry.block, entry.segment) in places:
                yield from each_batch(objects.read(self._objects, entry.path), wanted)

    def _checked(self, path: str, sha256: str) -> bytes:
        data = objects.read(self._objects, path)
        if _sha256(data) != sha256:
            raise StorageError(f"{self.uri}/{path} is damaged: its sha256 is not the recorded one, restore it")
        return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def totals(entries: Iterable[Entry]) -> dict[str, Any]:
    """What `dataset.json` says of all entries: `digest`, `num_rows`, `num_shards`, `merkle_root`.

    `digest` is of the rows alone, not of when, where or by how many they were made; `merkle_root` is of the commit
    records, and so of files.
    """
    digest, counts = hashlib.sha256(b"["), {"num_rows": 0, "num_shards": 0}

    def leaves() -> Iterator[bytes]:
        for entry in entries:
            row = json.dumps([entry.block, entry.segment, entry.rows, entry.digest])
            digest.update(((", " if counts["num_shards"] else "") + row).encode())
            counts["num_rows"] += entry.rows
            counts["num_shards"] += 1
            yield merkle.leaf(to_record(entry))

    root = merkle.root(leaves()).hex()
    digest.update(b"]")
    return {"digest": digest.hexdigest()} | counts | {"merkle_root": root}


def to_safetensors(state: dict[str, np.ndarray]) -> bytes:
    """safetensors reads an array's memory as it lies, so it must lie in row-major order."""
    return safetensors.numpy.save({name: np.asarray(value, order="C") for name, value in state.items()})


def from_safetensors(where: str, data: bytes) -> dict[str, np.ndarray]:
    """The state of `to_safetensors`; `StorageError` when it is something else."""
    try:
        return safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError) as error:
        raise StorageError(f"{where} is damaged: {str(error).splitlines()[0]}") from error


def to_manifest(entries: Iterable[Entry]) -> bytes:
    """The manifest: one row an entry, as Parquet, whose rows are packed a few thousand at a time."""
    sink, each = pa.BufferOutputStream(), iter(entries)
    with writer(sink, COLUMNS) as file:
        while some := list(islice(each, MANIFEST_ROWS)):
            file.write_table(to_table(some))
    return sink.getvalue().to_pybytes()


def _is_of(manifest: bytes, entries: Iterable[Entry]) -> bool:
    """Whether a manifest lists these entries, by whatever version of a library it was written."""
    each = iter(entries)
    for table in each_table(manifest, COLUMNS):
        if table != to_table(list(islice(each, len(table)))):
            return False
    return next(each, None) is None


def from_manifest(data: bytes, num_shards: int | None = None) -> Iterator[Entry]:
    """The entries of a manifest, read a few thousand at a time; `StorageError` for what is not of the columns or the
    number that it must be, and for an entry that no store of ours would have written.
    """
    for table in each_table(data, COLUMNS, num_shards):
        yield from from_table(table)


def to_table(entries: Sequence[Entry]) -> pa.Table:
    """Rows of the manifest: one an entry."""
    rows = [dataclasses.asdict(entry) | {"facts": json.dumps(entry.facts)} for entry in entries]
    return pa.Table.from_pylist(rows, COLUMNS)


def from_table(table: pa.Table) -> list[Entry]:
    """The entries of rows of a manifest; `StorageError` for one that no store of ours would have written."""
    columns = table.to_pydict()
    columns["facts"] = [parse("the manifest", facts.encode()) for facts in columns["facts"]]
    rows = zip(*columns.values(), strict=True)
    return [entry_of("the manifest", dict(zip(columns, row, strict=True))) for row in rows]
