"""What extensions that have not ended have put into a store, beyond the segments that `dataset.json` lists."""

import dataclasses

from obstore.store import ObjectStore

from scorefleet.tasks.store import objects
from scorefleet.tasks.store.entry import Entry, commit_path, entry_of, parse, place_of
from scorefleet.tasks.store.extents import extension_path, read_extents
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import manifest_path


def beyond(store: ObjectStore, layout: Layout, names: set[str]) -> tuple[set[str], str | None]:
    """Which of a store's files these are, and what is to be said of them; `StorageError` for damaged records.

    A shard whose record names another is not among them: who reads the folder would read its rows beside the others.
    """
    extents = read_extents(store, layout.extents)
    if extents == layout.extents:
        return set(), None
    further, numbers = dataclasses.replace(layout, extents=extents), range(len(layout.extents), len(extents))
    own = {name: place for name, place in places_beyond(names, layout).items() if further.has(*place)}
    entries = {place: _entry(store, name) for name, place in own.items() if name == commit_path(*place)}
    shards = {place: entry.path for place, entry in entries.items()}
    listed = {name for name, place in own.items() if not name.startswith("shards/") or shards.get(place, name) == name}
    listed |= {extension_path(number) for number in numbers}
    listed |= {manifest_path({"extents": extents[: number + 1]}) for number in numbers}
    num_rows = sum(entry.rows for entry in entries.values())
    committed = f"{num_rows:,} rows in {len(entries):,} more shards are committed"
    return listed, f"{committed}: an extension to {extents[-1]} has not ended"


def places_beyond(names: set[str], layout: Layout) -> dict[str, tuple[int, int]]:
    """Files of segments that a layout does not have, by their names."""
    places = ((name, place_of(name)) for name in names)
    return {name: place for name, place in places if place is not None and not layout.has(*place)}


def _entry(store: ObjectStore, path: str) -> Entry:
    return entry_of(path, parse(path, objects.read(store, path)))
