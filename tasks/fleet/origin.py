"""What makes the rows of a store, written into it before the first: a command that would make others is refused.

`origin.json` is put only if absent, so of two commands that begin a store one decides; and it holds what was tuned, so
that who goes on, from wherever, goes on with that. How many chains and draws there are decides no row: a command that
asks for more extends the store, which is written down in the same way (`scorefleet.tasks.store.extents`).
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from obstore.store import ObjectStore

from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.records.provenance import code_digest, versions
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.document import NAME as DATASET
from scorefleet.tasks.store.document import unseal
from scorefleet.tasks.store.entry import parse
from scorefleet.tasks.store.extents import Extent, count_of, extension_files, extents_of, read_extents

ORIGIN = "origin.json"
DECIDING = ("torch", "numpy", "pyarrow")
"""Libraries whose versions decide rows, or, the last, how they are written."""

MOST_NAMED = 6
KINDS = {"seed": int, "code_digest": str, "versions": dict, "config": dict}
"""What each value of a file must be; `tuned` is for who tuned it to read."""


def origin_of(module: str, seed: int, config: dict[str, Any], digests: dict[str, Any]) -> dict[str, Any]:
    """All that decides rows before anything is tuned; `module` and what it imports make them."""
    now = versions()
    libraries = {name: now[name] for name in DECIDING}
    made = {"seed": seed, "code_digest": code_digest(module), "versions": libraries, "config": config} | digests
    return json.loads(json.dumps(made))  # as it is read back


class Claimed(NamedTuple):
    """What was tuned for a store, and the sizes that were asked for in turn, the last by now this command's."""

    tuned: Any
    extents: tuple[Extent, ...]


def claim(uri: str, origin: dict[str, Any], tune: Callable[[], Any]) -> Claimed:
    """Begin a store, go on with it or extend it. `UsageError` when it was begun by another origin, or is to be larger
    than is asked for.
    """
    store = objects.open_store(uri)
    if not objects.exists(store, ORIGIN):
        objects.put_if_absent(store, ORIGIN, to_bytes(origin | {"tuned": tune()}))
    kept = read(uri)
    return Claimed(kept["tuned"], _extended(uri, store, kept, origin))


def _extended(uri: str, store: ObjectStore, kept: dict[str, Any], origin: dict[str, Any]) -> tuple[Extent, ...]:
    """All sizes, what is asked for now the last of them; of commands that ask at once one is before the other."""
    wanted, extents = _extent_of(uri, origin), read_extents(store, _published(store) or (_extent_of(uri, kept),))
    _require_same(uri, kept, extents[-1], origin)
    if wanted == extents[-1]:
        return extents
    path, data = extension_files([*extents, wanted]).popitem()
    objects.put_if_absent(store, path, data)
    return _extended(uri, store, kept, origin)


def _published(store: ObjectStore) -> tuple[Extent, ...]:
    """The sizes that `dataset.json` says, should a file of theirs be lost; none before the first is drawn."""
    described = unseal(DATASET, objects.read(store, DATASET)) if objects.exists(store, DATASET) else {}
    return extents_of(DATASET, described["extents"]) if "extents" in described else ()


def _extent_of(uri: str, origin: dict[str, Any]) -> Extent:
    return Extent(*(count_of(f"{ORIGIN} of {uri}", name, origin["config"].get(name)) for name in Extent._fields))


def read(uri: str) -> dict[str, Any]:
    """The origin of a store; `StorageError` when the file lacks what every origin says."""
    kept = parse(ORIGIN, objects.read(objects.open_store(uri, writable=False), ORIGIN))
    if "tuned" not in kept or any(type(kept.get(key)) is not kind for key, kind in KINDS.items()):
        raise damaged(uri)
    return kept


def damaged(uri: str) -> StorageError:
    """That no command of ours has written the origin of a store."""
    needed = ", ".join((*KINDS, "tuned"))
    return StorageError(f"{ORIGIN} of {uri} is damaged: it must say {needed}; restore it, or choose another place")


def described(uri: str, extents: tuple[Extent, ...]) -> dict[str, Any]:
    """What `dataset.json` says of it: `origin`, `extents`, and the sha256 of their `files`."""
    kept = read(uri)
    files = {ORIGIN: to_bytes(kept)} | extension_files(extents)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return {"origin": kept, "extents": extents, "files": digests}


def to_bytes(origin: dict[str, Any]) -> bytes:
    """The file of an origin."""
    return json.dumps(origin, indent=2).encode()


def differences(then: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """`config.num_draws is 4 and was 2`: one phrase for each value that is another."""
    found = []
    for key in sorted(then.keys() | now.keys()):
        old, new = then.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key} is {str(new)[:40]} and was {str(old)[:40]}")
    return found


def _require_same(uri: str, kept: dict[str, Any], size: Extent, origin: dict[str, Any]) -> None:
    """A size is as good as the store's when it is no smaller."""
    config = origin["config"]
    sizes = {name: max(count, config[name]) for name, count in size._asdict().items()}
    then = {key: value for key, value in kept.items() if key != "tuned"} | {"config": kept["config"] | sizes}
    found = differences(then, origin)
    if found:
        more = f"; {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise UsageError(
            f"{uri} was begun otherwise: {'; '.join(found[:MOST_NAMED])}{more}: go on with what began it, or choose "
            "another --store or --root"
        )
