"""Objects of Kubernetes by the paths of its API: kubectl asks for them, or in a pod without it the pod's account."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from scorefleet.pipelines.launchers import in_cluster, kubectl
from scorefleet.pipelines.launchers.kubernetes_errors import Changed
from scorefleet.tasks.errors import UsageError

Object = dict[str, Any]


def create(path: str, document: Mapping[str, Any]) -> Object:
    """Make an object, and return it as it was made; `AlreadyThere` where there is one of its name."""
    return json.loads(_call("create", path, document))


def replace(path: str, document: Mapping[str, Any]) -> None:
    """Put an object over the one that it was read as; `Changed` where that has changed since."""
    _call("replace", path, document)


def change(path: str, alter: Callable[[Object], None]) -> None:
    """Alter an object as it is now, whoever else writes there."""
    while True:
        found = get(path)
        alter(found)
        with suppress(Changed):
            return replace(path, found)


def delete(path: str) -> None:
    """Have an object go, and what it alone owns after it; `NotThere` where there is none."""
    _call("delete", f"{path}?propagationPolicy=Background", None)


def get(path: str, **query: str) -> Object:
    """An object, or a list of them; `NotThere` where there is none."""
    return json.loads(read(path, **query))


def read(path: str, **query: str) -> str:
    """What is answered."""
    return _call("get", f"{path}?{urlencode(query)}" if query else path, None)


def reference_to(found: Mapping[str, Any]) -> dict[str, str]:
    """What an object has among its `ownerReferences` so that it goes when `found` does."""
    metadata = found["metadata"]
    return {key: found[key] for key in ("apiVersion", "kind")} | {key: metadata[key] for key in ("name", "uid")}


def _call(verb: str, path: str, document: Mapping[str, Any] | None) -> str:
    way = next((way for way in (kubectl, in_cluster) if way.is_here()), None)
    if way is None:
        raise UsageError(
            "--to kubernetes needs kubectl on the PATH: install it, and let its current context name a place"
        )
    return way.call(verb, path, None if document is None else json.dumps(document))
