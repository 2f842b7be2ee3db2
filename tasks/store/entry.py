"""A committed segment of a store, as one record: where its rows and its chain state are, and what proves them.

Records come from files that anyone may have written, so nothing of one is used before its types are checked, and its
paths must be the very ones that its digests give: no record can point out of its store.
"""

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from typing import Any

from scorefleet.tasks.errors import StorageError

SHA256 = re.compile(r"[0-9a-f]{64}")
PLACE = re.compile(r"(?:shards|states|commits)/(\d{6,12})-(\d{4,12})[-.][^/]+")
LARGEST_DOCUMENT_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Entry:
    """What one commit holds; `facts` is JSON, and says how the rows were made."""

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

    @property
    def name(self) -> str:
        """The segment as people call it."""
        return f"block {self.block} segment {self.segment}"


KINDS = {field.name: field.type if field.type in (int, str) else dict for field in dataclasses.fields(Entry)}
"""What each value of a record must be."""


def to_record(entry: Entry) -> bytes:
    """The bytes of the commit record, the same for the same entry."""
    return json.dumps(vars(entry), allow_nan=False).encode()


def shard_path(block: int, segment: int, sha256: str) -> str:
    """Where the rows of a segment are kept."""
    return f"shards/{block:06}-{segment:04}-{sha256[:12]}.parquet"


def state_path(block: int, segment: int, sha256: str) -> str:
    """Where the chain state after a segment is kept."""
    return f"states/{block:06}-{segment:04}-{sha256[:12]}.safetensors"


def commit_path(block: int, segment: int) -> str:
    """Where the record of a segment is kept."""
    return f"commits/{block:06}-{segment:04}.json"


def place_of(path: str) -> tuple[int, int] | None:
    """The block and segment that a file is of, by its name."""
    found = PLACE.fullmatch(path)
    return (int(found[1]), int(found[2])) if found else None


def entry_of(where: str, document: dict[str, Any]) -> Entry:
    """The entry that a record says; `StorageError` when no store of ours would have written it."""
    if document.keys() != KINDS.keys() or any(type(document[name]) is not kind for name, kind in KINDS.items()):
        raise StorageError(f"{where} is damaged: it is no record of a segment, restore it")
    entry = Entry(**document)
    is_counted = min(entry.block, entry.segment, entry.rows, entry.bytes) >= 0
    digests = (entry.sha256, entry.digest, entry.state_sha256)
    if not is_counted or not all(SHA256.fullmatch(digest) for digest in digests):
        raise StorageError(f"{where} is damaged: it has counts or digests that cannot be, restore it")
    place = (entry.block, entry.segment)
    expected = (shard_path(*place, entry.sha256), state_path(*place, entry.state_sha256))
    if (entry.path, entry.state_path) != expected:
        raise StorageError(f"{where} is refused: it names {entry.path!r}, where only {expected[0]!r} can be")
    return entry


def parse(where: str, data: bytes) -> dict[str, Any]:
    """A JSON mapping; `StorageError` for anything else, for NaN, for a key that stands twice, for 64 MiB or more."""
    try:
        if len(data) >= LARGEST_DOCUMENT_BYTES:
            raise ValueError("too large")
        document = json.loads(data, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_mapping)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{where} is damaged: it is not JSON of ours ({_reason(error)}), restore it") from error
    if not isinstance(document, dict):
        raise StorageError(f"{where} is damaged: it is not a JSON mapping, restore it")
    return document


def _reason(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error).splitlines()[0][:100]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key stands twice")
    return mapping
