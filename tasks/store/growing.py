"""Reads a store while it grows: only what is committed, which is whole."""

from collections.abc import Collection

from scorefleet.tasks.store import objects
from scorefleet.tasks.store.entry import Entry, commit_path, entry_of, parse


def new_entries(uri: str, known: Collection[Entry]) -> list[Entry]:
    """The segments that were committed since `known`, in the order of block and segment.

    A commit record appears whole or not at all, and its shard was there, on disk, before it.
    """
    store = objects.open_store(uri, writable=False)
    seen = {commit_path(entry.block, entry.segment) for entry in known}
    names = {name for name in objects.names(store, "commits") if name.endswith(".json")}
    entries = [entry_of(name, parse(name, objects.read(store, name))) for name in names - seen]
    return sorted(entries, key=lambda entry: (entry.block, entry.segment))


def read_shard(uri: str, entry: Entry) -> bytes:
    """The Parquet file of an entry."""
    return objects.read(objects.open_store(uri, writable=False), entry.path)
