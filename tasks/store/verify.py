"""Proves a store whole, or names what is missing or damaged.

What is compared with what: `dataset.json` with its own seal; the manifest with `dataset.json` (sha256, and the totals
of its entries: digest, rows, Merkle root); the entries with the program (every block and segment once); each commit
record and each state with its entry; each shard with its entry (bytes, sha256, rows), with the program (every chain
and draw once) and with the other shards (columns and types); the folder with them all.

A file that has the recorded sha256 is the one that was written, so no column but `chain` and `draw` is unpacked. That
its rows have the recorded logical digest was so when they were written, and whoever reads them all (`check_rows`, for
replays and audits) compares it again.

A shard that nothing lists is damage, since who reads the folder reads its rows. Anything else that nothing lists, such
as a state that lost a race or what a killed writer left half written, is named and is not damage: nothing reads it.
What an extension that has not ended has put beyond the segments of `dataset.json` is counted, and not proven.
"""

import hashlib
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from obstore.store import ObjectStore

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.beyond import beyond, places_beyond
from scorefleet.tasks.store.direct import Memory
from scorefleet.tasks.store.document import NAME as DATASET
from scorefleet.tasks.store.entry import Entry, commit_path, to_record
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import manifest_path, totals
from scorefleet.tasks.store.proven import read_description, read_entries, read_manifest
from scorefleet.tasks.store.shards import from_parquet, logical_digest, places_of
from scorefleet.tasks.store.signature import SIGNATURE, is_current

Kind = Literal["missing", "damaged", "wrong", "extra"]
MOST_NAMED = 20
READERS, MOST_READERS = 3, 32
"""Threads a processor, and in all: as many hash faster than any disk reads, and each has a shard in memory."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was written; `entry` is the segment it belongs to, where it belongs to one."""

    kind: Kind
    what: str
    reason: str
    entry: Entry | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}: {self.reason}"


@dataclass(frozen=True)
class Proof:
    """What a store is, as far as it is proven, and all that keeps it from being whole; `notes` do not."""

    uri: str
    description: dict[str, Any]
    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every row is there, as it was drawn."""
        return not self.findings


class Checked(NamedTuple):
    """What was found in a segment, and the columns of its shard, where that could be read."""

    findings: list[Finding]
    columns: pa.Schema | None


def verify(uri: str) -> Proof:
    """Read every byte of a store and compare it with what is recorded; `StorageError` when there is no store at all."""
    store = objects.open_store(uri, writable=False)
    try:
        description = read_description(store)
        layout = Layout.of(description)
    except StorageError as error:
        reason = f"{error}; nothing else can be proven without it"
        return Proof(uri, {}, (), (_unreadable(objects.names(store), DATASET, reason),), ())
    names = objects.names(store)  # after what it says, which may be replaced while the store is read
    entries, findings = _check_manifest(store, description, names)
    if not entries:
        return Proof(uri, description, (), tuple(findings), ())
    findings += _check_places(entries, layout, manifest_path(description)) + _check_files(store, description, names)
    findings += _check_segments(store, entries, layout, names)
    more, broken, notes = _check_beyond(store, layout, names)
    for entry in entries:
        more |= {entry.path, entry.state_path, commit_path(entry.block, entry.segment)}
    if SIGNATURE in names and not is_current(store):
        notes.append(f"{SIGNATURE} is not of {DATASET} as it is now: sign it again")
    extra, unlisted = _unlisted(names - more - _own_files(description, layout))
    return Proof(uri, description, tuple(entries), tuple(findings + broken + extra), tuple(notes + unlisted))


def check_shard(data: bytes | memoryview, entry: Entry, layout: Layout) -> pa.Schema:
    """The columns of a shard whose sha256 is right; `StorageError` when its chains and draws are not what the entry and
    program say.
    """
    expected = layout.num_rows(entry.block, entry.segment)
    if len(data) != entry.bytes:
        raise StorageError(f"it has {len(data):,} bytes where {entry.bytes:,} are recorded")
    if entry.rows != expected:
        raise StorageError(f"{entry.rows:,} rows are recorded where the program has {expected:,}")
    columns, table = places_of(data, entry.rows)
    rows = layout.compare(entry.block, entry.segment, table["chain"].to_numpy(), table["draw"].to_numpy())
    if any(rows):
        raise StorageError(
            f"{rows.num_missing:,} of its chains and draws are missing, {rows.num_repeated:,} are there more than once "
            f"and {rows.num_foreign:,} rows belong to other segments"
        )
    return columns


def check_rows(data: bytes, entry: Entry, layout: Layout) -> pa.Table:
    """The rows of a shard; `StorageError` when they are not what its entry and the program say, by every digest."""
    _require_sha256(data, entry.sha256)
    check_shard(data, entry, layout)
    table = from_parquet(data, rows=entry.rows)
    if _digest_of(table) != entry.digest:
        raise StorageError("its rows do not have the recorded logical digest")
    return table


def _digest_of(table: pa.Table) -> str:
    try:
        return logical_digest(table)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise StorageError(f"it has columns that no store of ours has: {str(error).splitlines()[0]}") from error


def _unreadable(names: set[str], what: str, reason: str) -> Finding:
    return Finding("damaged" if what in names else "missing", what, reason)


def _check_manifest(
    store: ObjectStore, description: dict[str, Any], names: set[str]
) -> tuple[list[Entry], list[Finding]]:
    """The entries, from wherever they are proven."""
    path = manifest_path(description)
    try:
        entries = read_manifest(store, description)
    except StorageError as error:
        finding = _unreadable(names, path, str(error))
        try:
            return read_entries(store, description), [finding]
        except StorageError as second:
            return [], [finding, Finding("damaged", "commits", f"{second}; no shard can be proven without either")]
    wrong = {key: value for key, value in totals(entries).items() if description.get(key) != value}
    return entries, [
        Finding("wrong", DATASET, f"{key} is {description.get(key)}, and that of {path} is {value}")
        for key, value in wrong.items()
    ]


def _check_places(entries: list[Entry], layout: Layout, path: str) -> list[Finding]:
    """Every block and segment of the program once, and no other."""
    counts = Counter((entry.block, entry.segment) for entry in entries)
    foreign = [place for place in counts if not layout.has(*place)]
    num_missing = layout.num_places - (len(counts) - len(foreign))
    missing = islice((place for place in layout.places() if place not in counts), min(num_missing, MOST_NAMED))
    findings = [Finding("missing", _name(place), f"{path} does not list it") for place in missing]
    if num_missing > MOST_NAMED:
        findings.append(Finding("missing", f"{num_missing - MOST_NAMED:,} more segments", f"{path} lists none"))
    repeated = [(place, count) for place, count in counts.items() if count > 1]
    findings += [Finding("wrong", _name(place), f"{path} lists it {count} times") for place, count in repeated]
    return findings + [Finding("wrong", _name(place), "the program has no such segment") for place in foreign]


def _name(place: tuple[int, int]) -> str:
    return "block {} segment {}".format(*place)


def _check_files(store: ObjectStore, description: dict[str, Any], names: set[str]) -> list[Finding]:
    """What chains start from, where the store keeps that."""
    files = description.get("files", {}).items()
    return [found for name, sha256 in files for found in _check_file(store, name, sha256, names, None)]


def _check_segments(store: ObjectStore, entries: list[Entry], layout: Layout, names: set[str]) -> list[Finding]:
    """All segments, three shards in memory for each processor: one is hashed, which leaves Python's lock to the others,
    while the next are read.
    """
    own = [entry for entry in entries if layout.has(entry.block, entry.segment)]
    findings: list[Finding] = []
    columns: pa.Schema | None = None
    with ThreadPoolExecutor(min(READERS * (os.cpu_count() or 1), MOST_READERS)) as pool:
        all_checked = pool.map(partial(_check_segment, store, layout, names, Memory()), own)
        for entry, checked in zip(own, all_checked, strict=True):
            findings += checked.findings
            columns = columns or checked.columns
            if checked.columns is not None and checked.columns != columns:
                findings.append(Finding("wrong", entry.path, "its columns are not those of the first shard", entry))
    return findings


def _check_segment(store: ObjectStore, layout: Layout, names: set[str], memory: Memory, entry: Entry) -> Checked:
    """A segment's commit record, its state and its shard."""
    record = hashlib.sha256(to_record(entry)).hexdigest()
    shard = _check_shard(store, layout, names, memory, entry)
    found = [
        *_check_file(store, commit_path(entry.block, entry.segment), record, names, entry),
        *_check_file(store, entry.state_path, entry.state_sha256, names, entry),
        *shard.findings,
    ]
    return Checked(found, shard.columns)


def _check_shard(store: ObjectStore, layout: Layout, names: set[str], memory: Memory, entry: Entry) -> Checked:
    if entry.path not in names:
        return Checked([_absent(entry.path, entry)], None)
    try:
        with objects.lent(store, entry.path, memory) as data:
            _require_sha256(data, entry.sha256)
            return Checked([], check_shard(data, entry, layout))
    except StorageError as error:
        return Checked([Finding("damaged", entry.path, str(error), entry)], None)


def _check_file(store: ObjectStore, path: str, sha256: str, names: set[str], entry: Entry | None) -> list[Finding]:
    """What is wrong with a file that should have this sha256."""
    if path not in names:
        return [_absent(path, entry)]
    try:
        _require_sha256(objects.read(store, path), sha256)
    except StorageError as error:
        return [Finding("damaged", path, str(error), entry)]
    return []


def _absent(path: str, entry: Entry | None) -> Finding:
    return Finding("missing", path, "there is no such file", entry)


def _require_sha256(data: bytes | memoryview, sha256: str) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StorageError(f"its {len(data):,} bytes do not have the recorded sha256")


def _own_files(description: dict[str, Any], layout: Layout) -> set[str]:
    """What belongs to no segment; who read the store before it was extended may still read its manifest of then."""
    manifests = {manifest_path({"extents": layout.extents[: k + 1]}) for k in range(len(layout.extents))}
    locks = {objects.lock_of(name) for name in (DATASET, SIGNATURE)}
    return {DATASET, SIGNATURE, *locks, *description.get("files", {})} | manifests


def _check_beyond(store: ObjectStore, layout: Layout, names: set[str]) -> tuple[set[str], list[Finding], list[str]]:
    """What belongs to an extension that has not ended; all that may, where its records are damaged."""
    try:
        own, note = beyond(store, layout, names)
    except StorageError as error:
        return set(places_beyond(names, layout)), [Finding("damaged", "an extension", str(error))], []
    return own, [], [note] if note else []


def _unlisted(names: set[str]) -> tuple[list[Finding], list[str]]:
    """What lies in the folder and nothing lists."""
    shards = sorted(name for name in names if _is_read_as_shard(name))
    reason = "nothing lists it, and who reads the folder reads its rows"
    notes = [f"not listed, and read by nothing: {name}" for name in sorted(names.difference(shards))]
    return [Finding("extra", name, reason) for name in shards], notes


def _is_read_as_shard(name: str) -> bool:
    """Readers of folders pass over what begins with a dot or an underscore."""
    return name.startswith("shards/") and not PurePosixPath(name).name.startswith((".", "_"))
