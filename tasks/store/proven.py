"""What `dataset.json` proves: itself by its seal, and the entries of a store by their digests.

The manifest is proven by its sha256. Where it is damaged or gone, the commit records take its place, if their Merkle
root is the recorded one.
"""

import hashlib
from pathlib import PurePosixPath
from typing import Any

from obstore.store import ObjectStore

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.document import NAME as DATASET
from scorefleet.tasks.store.document import unseal
from scorefleet.tasks.store.entry import SHA256, Entry, entry_of, parse, place_of
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import from_manifest, manifest_path, totals

LEAST_ENTRY_BYTES = 64
"""The two digests of a shard, which no packing makes smaller."""


def read_description(store: ObjectStore) -> dict[str, Any]:
    """`dataset.json`, with the keys that a proof rests on; `StorageError` when it is not what a store of ours says."""
    description = unseal(DATASET, objects.read(store, DATASET))
    files = description.get("files", {})
    is_flat = isinstance(files, dict) and all(_is_own_name(name) and _is_sha256(value) for name, value in files.items())
    digests = (description.get(key) for key in ("digest", "manifest_sha256", "merkle_root"))
    if not is_flat or not all(_is_sha256(value) for value in digests) or type(description.get("num_shards")) is not int:
        raise StorageError(f"{DATASET} is refused: no store of ours has such files, digests or numbers of shards")
    return description


def read_manifest(store: ObjectStore, description: dict[str, Any]) -> list[Entry]:
    """The entries of the manifest; `StorageError` when its sha256 is not the recorded one."""
    data = objects.read(store, manifest_path(description))
    if hashlib.sha256(data).hexdigest() != description["manifest_sha256"]:
        raise StorageError("its sha256 is not the recorded one")
    if description["num_shards"] * LEAST_ENTRY_BYTES > len(data):
        raise StorageError(f"its {len(data):,} bytes cannot list {description['num_shards']:,} shards")
    return list(from_manifest(data, description["num_shards"]))


def read_commits(store: ObjectStore, description: dict[str, Any]) -> list[Entry]:
    """The entries of the commit records, without those that an extension has put there since; `StorageError` when their
    Merkle root is not the recorded one.
    """
    layout = Layout.of(description)
    paths = (path for path in objects.names(store, "commits") if (place := place_of(path)) and layout.has(*place))
    entries = [entry_of(path, parse(path, objects.read(store, path))) for path in paths]
    entries.sort(key=lambda entry: (entry.block, entry.segment))
    if totals(entries)["merkle_root"] != description["merkle_root"]:
        raise StorageError("the commit records do not have the recorded Merkle root")
    return entries


def read_entries(store: ObjectStore, description: dict[str, Any]) -> list[Entry]:
    """The entries of the manifest, or those of the commit records where the manifest is not whole."""
    try:
        return read_manifest(store, description)
    except StorageError as error:
        try:
            return read_commits(store, description)
        except StorageError as second:
            raise StorageError(f"{manifest_path(description)}: {error}; {second}: restore one of them") from error


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and SHA256.fullmatch(value) is not None


def _is_own_name(name: str) -> bool:
    """Whether a file lies in the store's own folder and is none of those that every store has."""
    return PurePosixPath(name).name == name and name not in (DATASET, "", "..") and not name.startswith("manifest")
