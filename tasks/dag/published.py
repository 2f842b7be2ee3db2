"""The manifest of a step, `manifest.json`: what the step published, and what proves that it is still there.

It is sealed by a digest of itself. It holds the artifact, the size and sha256 of every file that the step left, and
the digest of every store of rows. Places under the root are relative to it, so that a root may be moved or copied.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import document, objects
from scorefleet.tasks.store.entry import parse
from scorefleet.tasks.store.intact import flaw_of, flaw_of_store, is_store, sha256_of
from scorefleet.tasks.store.manifest import SampleStore

NAME = "manifest.json"
ROOT = "root:"
"""What a place under the root begins with."""

KINDS = {"step": str, "artifact": dict, "files": dict, "stores": dict, "seconds": float, "peak_bytes": int}


@dataclass(frozen=True)
class Published:
    """A step's manifest as read."""

    document: dict[str, Any]
    folder: Path
    root: Path

    def artifact(self, kind: type) -> Any:
        """Return the artifact, with places where they are now."""
        return kind(**{key: _placed(value, self.root) for key, value in self.document["artifact"].items()})

    @property
    def digest(self) -> str:
        """The sha256 of all that later steps read."""
        read = {key: self.document[key] for key in ("artifact", "files", "stores")}
        return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()

    def require_made_from(self, needs: Mapping[str, "Published"]) -> None:
        """Refuse what was made from other results of earlier steps than are there now."""
        step, then = self.document["step"], self.document.get("needs", {})
        for name, need in needs.items():
            if then.get(name, need.digest) != need.digest:
                raise StorageError(
                    f"{self.folder} was made from another result of {name} than is there now; rerun with --from {step}"
                )

    def require_intact(self) -> None:
        """Compare every file and store with what was published; `StorageError` names the first that differs."""
        again = f"rerun with --from {self.document['step']}"
        for flaw, place in self.flaws():
            raise StorageError(f"{flaw}; {f'run `scorefleet repair {place}`' if place else again}")

    def flaws(self) -> Iterator[tuple[str, str | None]]:
        """Return what is not as it was published, each with the store outside of the folder that it is of, if it is."""
        for name, (num_bytes, sha256) in self.document["files"].items():
            if flaw := flaw_of(self.folder / name, num_bytes, sha256):
                yield flaw, None
        for place, digest in self.document["stores"].items():
            uri = _placed(place, self.root)
            is_own = uri.startswith(f"{self.folder}/")
            if flaw := flaw_of_store(uri, digest, may_be_extended=not is_own):
                yield flaw, None if is_own else uri


def manifest_of(folder: Path, root: Path, artifact: Any, place: str | None, scratch: str | None) -> dict[str, Any]:
    """Describe what a step left in its folder, and at `place` if its rows are elsewhere; `scratch` is left out."""
    files, stores = _left(folder, scratch)
    uris = [*map(str, stores), *([place] if place else [])]
    return {
        "artifact": {key: _relative(value, root) for key, value in dataclasses.asdict(artifact).items()},
        "files": {str(path.relative_to(folder)): [path.stat().st_size, sha256_of(path)] for path in files},
        "stores": {_relative(uri, root): SampleStore(uri, writable=False).description()["digest"] for uri in uris},
    }


def publish(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a step, last of all its files, unless it is there."""
    objects.put_if_absent(objects.open_store(str(folder)), NAME, document.seal(manifest))


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of a step's folder; `StorageError` when it is not what was written."""
    path = folder / NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror})") from error
    if not {document.SEAL, "files"} & parse(str(path), data).keys():  # from before manifests were sealed
        return parse(str(path), data) | {"files": {}, "stores": {}}
    found = document.unseal(str(path), data)
    if any(type(found.get(key)) is not kind for key, kind in KINDS.items()):
        raise StorageError(f"{path} is damaged: it must have {', '.join(KINDS)}")
    return found


def _left(folder: Path, scratch: str | None) -> tuple[list[Path], list[Path]]:
    """Return the files below a folder in order, but those of stores, and the stores."""
    files, stores = list[Path](), list[Path]()
    for name, inner, here in os.walk(folder):
        place = Path(name)
        found = [place / one for one in sorted(inner) if (place / one) != folder / (scratch or "")]
        stores += [one for one in found if is_store(one)]
        inner[:] = [one.name for one in found if not is_store(one)]
        files += [place / one for one in sorted(here) if _is_kept(one) and place / one != folder / NAME]
    return files, stores


def _is_kept(name: str) -> bool:
    """Whether a file is no lock and no half-written one."""
    return not name.startswith(".") and not name.endswith(".lock")


def _relative(value: Any, root: Path) -> Any:
    """Return a place under the root as `root:PATH`, and any other value as it is."""
    if isinstance(value, str) and (value == str(root) or value.startswith(f"{root}/")):
        return ROOT + value.removeprefix(str(root)).lstrip("/")
    return value


def _placed(value: Any, root: Path) -> Any:
    """Undo `_relative`; a list is a tuple of the artifact."""
    if isinstance(value, str) and value.startswith(ROOT):
        return str(root / value.removeprefix(ROOT))
    return tuple(value) if isinstance(value, list) else value
