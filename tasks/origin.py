"""What makes the rows of a store, written into it before the first: a command that would make others is refused.

`origin.json` is put only if absent, so of two commands that begin a store one decides; and it holds what was tuned, so
that who goes on, from wherever, goes on with that.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from tasks.errors import UsageError
from tasks.provenance import code_digest, versions
from tasks.store import objects
from tasks.store.entry import parse

ORIGIN = "origin.json"
DECIDING = ("torch", "numpy", "pyarrow")
"""Libraries whose versions decide rows, or, the last, how they are written."""

MOST_NAMED = 6


def origin_of(module: str, seed: int, config: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    """All that decides rows before anything is tuned; `module` and what it imports make them."""
    now = versions()
    libraries = {name: now[name] for name in DECIDING}
    made = {"seed": seed, "code_digest": code_digest(module), "versions": libraries, "config": config} | digests
    return json.loads(json.dumps(made))  # as it is read back


def claim(uri: str, origin: dict[str, Any], tune: Callable[[], Any]) -> Any:
    """What was tuned for this store: by whoever began it, or now. `UsageError` when it was begun by another origin."""
    store = objects.open_store(uri)
    if not objects.exists(store, ORIGIN):
        objects.put_if_absent(store, ORIGIN, to_bytes(origin | {"tuned": tune()}))
    kept = read(uri)
    _require_same(uri, kept, origin)
    return kept["tuned"]


def read(uri: str) -> dict[str, Any]:
    """The origin of a store."""
    return parse(ORIGIN, objects.read(objects.open_store(uri, writable=False), ORIGIN))


def described(uri: str) -> dict[str, Any]:
    """What `dataset.json` says of it: `origin`, and its sha256 for `files`."""
    kept = read(uri)
    return {"origin": kept, "sha256": hashlib.sha256(to_bytes(kept)).hexdigest()}


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


def _require_same(uri: str, kept: dict[str, Any], origin: dict[str, Any]) -> None:
    found = differences({key: value for key, value in kept.items() if key != "tuned"}, origin)
    if found:
        more = f"; {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise UsageError(
            f"{uri} was begun otherwise: {'; '.join(found[:MOST_NAMED])}{more}: go on with what began it, or choose "
            "another --store or --root"
        )
