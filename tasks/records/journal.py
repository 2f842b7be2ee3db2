"""What a run records, on local disk first: an append-only file with one JSON object a line.

An entry counts when its line is whole. Whatever becomes of the writer or of the MLflow server, a run loses at
most the line that was being written, and a mirror can send the journal from any line on.
"""

import json
import math
import os
import re
import threading
import time
import weakref
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.records.redaction import redact_values
from scorefleet.tasks.store.locks import locked

Entry = dict[str, Any]

MAX_NAME_LENGTH = 250  # of MLflow


class Journal:
    """The record of one run; the stem of the file's name is the key of the run. Threads may share it."""

    def __init__(self, path: Path):
        self.path = path
        self.run_key = path.stem
        self._root = path.absolute().parent.parent
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._known: dict[str, dict[str, str]] = {}

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters, redacted; the first value of each holds, as on the server."""
        self._append_news("params", redact_values(values), is_mutable=False)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Record metrics at a step; of a (metric, step) recorded twice the first counts."""
        points = {_name(key): _json_number(float(value)) for key, value in values.items()}
        with self._lock:
            self._append({"kind": "metrics", "values": points, "step": step})

    def tags(self, values: Mapping[str, Any]) -> None:
        """Record tags, redacted; the last value of each holds."""
        self._append_news("tags", redact_values(values), is_mutable=True)

    def artifact(self, path: Path, folder: str) -> None:
        """Record that a file belongs into `folder` of the run's artifacts; it is read when it is sent. Its path is
        relative to the root, which may be moved before that.
        """
        place = path.absolute()
        if place.is_relative_to(self._root):
            place = place.relative_to(self._root)
        with self._lock:
            self._append({"kind": "artifact", "path": str(place), "folder": folder})

    def status(self, status: Literal["FINISHED", "FAILED"]) -> None:
        """Record how the run ended."""
        self._append_news("status", {"status": status}, is_mutable=True)

    def sync(self) -> None:
        """Wait until everything recorded is on disk."""
        with self._lock:
            if self._descriptor is not None:
                os.fsync(self._descriptor)

    def read(self, offset: int, max_entries: int | None = None) -> tuple[list[Entry], int]:
        """The whole entries from a byte offset on, and the offset behind them."""
        entries: list[Entry] = []
        if not self.path.exists():
            return entries, offset
        with self.path.open("rb") as file:
            file.seek(offset)
            for line in islice(file, max_entries):
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                entries += _parse(line)
        for entry in entries:
            if entry["kind"] == "artifact":
                entry["path"] = str(self._root / entry["path"])
        return entries, offset

    def _append_news(self, kind: str, values: Mapping[str, str], is_mutable: bool) -> None:
        """Append only what changes something, so that a run that is done already has nothing to send."""
        with self._lock:
            try:
                self._open()
            except OSError as error:
                raise self._failed(error.strerror) from error
            known = self._known.setdefault(kind, {})
            named = {_name(key): value for key, value in values.items()}
            news = {
                key: value for key, value in named.items() if key not in known or (is_mutable and known[key] != value)
            }
            if news:
                self._append({"kind": kind, "values": news})
                known |= news

    def _append(self, entry: Entry) -> None:
        line = json.dumps(entry | {"time": time.time_ns() // 1_000_000}).encode() + b"\n"
        try:
            is_whole = os.write(self._open(), line) == len(line)
            reason = "no space left on the device"
        except OSError as error:
            is_whole, reason = False, error.strerror
        if not is_whole:
            self._close()
            raise self._failed(reason)

    def _failed(self, reason: str | None) -> StorageError:
        return StorageError(f"the journal {self.path} cannot be written: {reason}")

    def _open(self) -> int:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path.with_suffix(".lock")):
                _cut_torn_line(self.path)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            self._closer = weakref.finalize(self, os.close, self._descriptor)
            self._known = {}
            for entry in self.read(0)[0]:
                if entry["kind"] in ("params", "tags", "status"):
                    self._known.setdefault(entry["kind"], {}).update(entry["values"])
        return self._descriptor

    def _close(self) -> None:
        """The next entry opens the file again, and cuts off what a failed write has left."""
        if self._descriptor is not None:
            self._closer()
            self._descriptor = None


def _cut_torn_line(path: Path) -> None:
    """Remove an unfinished last line, which a killed writer left."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < end:
            file.truncate(whole)


def _parse(line: bytes) -> list[Entry]:
    """One entry, or none where a crash of the machine left zeros in place of a line."""
    try:
        return [json.loads(line)]
    except ValueError:
        return []


def _name(key: str) -> str:
    """A name that MLflow takes: letters, digits and `_.- :`, in parts between slashes."""
    parts = re.sub(r"[^\w.\- :/]", "_", key).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))[:MAX_NAME_LENGTH].rstrip("/") or "_"


def _json_number(value: float) -> float | str:
    """JSON has no NaN and no infinity: they are written as text, which `float` reads."""
    return value if math.isfinite(value) else str(value)
