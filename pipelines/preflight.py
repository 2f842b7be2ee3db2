"""What a run, or `--dry-run`, refuses before its first step: places that cannot be written, keys that cannot sign."""

import os
from collections.abc import Sequence
from pathlib import Path

from scorefleet.pipelines.flow import Flow
from scorefleet.tasks.dag.dag import Pipeline, Step
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.fleet.capacity import existing
from scorefleet.tasks.records.tracking import tracking_uri
from scorefleet.tasks.store import bucket, signature
from scorefleet.tasks.store.objects import open_store
from scorefleet.tasks.store.places import folder_of


def require(pipeline: Pipeline, flow: Flow) -> None:
    """Raise what the last of a run would raise; nothing is written."""
    if flow.start is not None and flow.start not in pipeline.keys:
        raise UsageError(f"--from must be one of {', '.join(pipeline.keys)}, but got {flow.start!r}")
    tracking_uri(pipeline.run.register, pipeline.root)
    for place in (str(pipeline.root), *_stores(pipeline.steps)):
        require_writable(place)
    require_file(flow.summary, "--summary")
    if flow.sign:
        signature.private_key(flow.sign)
        for place in _stores(pipeline.steps):
            signature.require_own(place, flow.sign)


def open_places(pipeline: Pipeline) -> None:
    """Make the folders of a run, and prove that they take a file."""
    for place in (str(pipeline.root), *_stores(pipeline.steps)):
        open_store(place)


def require_writable(place: str) -> None:
    """Refuse a folder that is a file or may not be written, or that could not be made."""
    if place.startswith(bucket.SCHEME):
        bucket.canonical(place)
        return
    folder = folder_of(place)
    there = existing(folder)
    if not there.is_dir():
        raise StorageError(f"{there} is a file: choose another folder with --root or --store")
    if not os.access(there, os.W_OK | os.X_OK):
        raise StorageError(f"{there} cannot be written: choose another folder with --root or --store")


def require_file(name: str | None, option: str) -> None:
    """Refuse a file to be written at the end whose folder is missing, or that is a folder itself."""
    if name is None:
        return
    path = Path(name)
    if not path.parent.is_dir():
        raise UsageError(f"{option} {name} is in no folder: make {path.parent} first")
    if path.is_dir():
        raise UsageError(f"{option} {name} is a folder: name a file in it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise StorageError(f"{option} {name} cannot be written: choose another file")


def _stores(steps: Sequence[Step]) -> list[str]:
    return [step.place for step in steps if step.place]
