"""The proof that one shard belongs to a store, for who has nothing but the shard and the store's Merkle root."""

import hashlib
from typing import Any

from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.store import merkle, objects
from scorefleet.tasks.store.entry import to_record
from scorefleet.tasks.store.proven import read_description, read_entries


def inclusion_proof(uri: str, path: str) -> dict[str, Any]:
    """The shard's commit record, which holds its sha256, and the hashes from there to the root (RFC 6962, 2.1.1).

    `StorageError` where the shard is not what its record says.
    """
    store = objects.open_store(uri, writable=False)
    description = read_description(store)
    entries = read_entries(store, description)
    index = next((index for index, entry in enumerate(entries) if entry.path == path), None)
    if index is None:
        raise UsageError(f"{path} is no shard of {uri}: name it as in the store, such as {entries[0].path}")
    record = to_record(entries[index])
    if hashlib.sha256(objects.read(store, path)).hexdigest() != entries[index].sha256:
        raise StorageError(f"{path} is damaged: its sha256 is not the recorded one, repair the store")
    leaves = [merkle.leaf(to_record(entry)) for entry in entries]
    return {
        "record": record.decode(),
        "index": index,
        "num_shards": len(entries),
        "hashes": [digest.hex() for digest in merkle.path(index, leaves)],
        "merkle_root": description["merkle_root"],
    }
