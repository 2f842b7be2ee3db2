"""A local journal first, mirrored to MLflow in the background: a slow or dead server costs a run nothing."""

import json
import threading
from dataclasses import dataclass
from pathlib import Path

from scorefleet.tasks.console import notify
from scorefleet.tasks.errors import UserError
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.records.redaction import redact
from scorefleet.tasks.records.replay_journal import Replay
from scorefleet.tasks.records.tracking_server import (
    connect,
    endpoint_digest,
    is_made,
    limit_mlflow,
    open_run,
    service,
    tracking_uri,
)
from scorefleet.tasks.store import objects

__all__ = ["Journal", "Mirror", "MirrorStatus", "tracking_uri"]

INTERVAL_S = 3.0
RETRY_S = 15.0
ENTRIES_AT_ONCE = 2000


@dataclass(frozen=True)
class MirrorStatus:
    """What the server has: its run, how many entries of the journal it lacks, and why."""

    run_id: str | None
    num_pending: int
    reason: str | None


class Mirror:
    """Sends a journal to MLflow every few seconds from its own thread; no failure there reaches the run.

    How far it came is kept beside the journal, so that a run that is done does not even import MLflow.
    """

    def __init__(self, journal: Journal, tracking_uri: str, artifact_root: Path, experiment: str, run_name: str):
        self._journal, self._uri = journal, tracking_uri
        self._artifact_root, self._experiment, self._run_name = artifact_root, experiment, run_name
        self._sent_path = journal.path.with_suffix(".sent.json")
        self._run_id, self._offset = self._read_sent()
        self._replay: Replay | None = None
        self._reason: str | None = None
        self._is_over, self._is_left = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlflow-mirror", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        limit_mlflow()
        self._thread.start()

    def finish(self, timeout_s: float) -> MirrorStatus:
        """Send what is left, for at most `timeout_s`, and say what the server has."""
        self._is_over.set()
        self._thread.join(timeout_s)
        self._is_left.set()  # what fails from here on fails because the process ends
        num_pending = len(self._journal.read(self._offset)[0])
        reason = self._reason or f"MLflow at {redact(self._uri)} has not taken everything in time"
        return MirrorStatus(self._run_id, num_pending, reason if num_pending else None)

    def _run(self) -> None:
        is_last = False
        while True:
            self._send_or_say_why()
            if is_last:
                return
            is_last = self._is_over.wait(RETRY_S if self._reason else INTERVAL_S)

    def _send_or_say_why(self) -> None:
        if not self._journal.read(self._offset, 1)[0]:
            return
        try:
            with service(self._uri):
                self._send_pending()
            self._reason = None
        except UserError as error:
            self._replay = None
            if self._reason is None and not self._is_left.is_set():
                notify(f"scorefleet: {error}; the run goes on, its journal keeps all")
            self._reason = str(error)

    def _send_pending(self) -> None:
        if self._replay is None:
            self._replay = self._find_run()
        self._journal.sync()  # the server never has what this disk might lose
        entries, offset = self._journal.read(self._offset, ENTRIES_AT_ONCE)
        while entries:
            self._replay.send(entries)
            self._remember(offset)
            entries, offset = self._journal.read(self._offset, ENTRIES_AT_ONCE)

    def _find_run(self) -> Replay:
        client = connect(self._uri)
        run_id = open_run(client, self._journal, self._experiment, self._artifact_root, self._run_name)
        if run_id != self._run_id:
            self._run_id, self._offset = run_id, 0
        return Replay(client, run_id)

    def _read_sent(self) -> tuple[str | None, int]:
        """The run and the offset that this server is known to have, unless its database is gone."""
        if not is_made(self._uri) or not self._sent_path.exists():
            return None, 0
        try:
            sent = json.loads(self._sent_path.read_bytes())
            if sent["server"] == endpoint_digest(self._uri, self._experiment):
                return str(sent["run_id"]), int(sent["offset"])
        except (OSError, ValueError, TypeError, KeyError):
            pass  # cut short: all is compared with the server again, and nothing is sent twice
        return None, 0

    def _remember(self, offset: int) -> None:
        server = endpoint_digest(self._uri, self._experiment)
        sent = json.dumps({"server": server, "run_id": self._run_id, "offset": offset}).encode()
        objects.replace(self._sent_path.parent, self._sent_path.name, sent)
        self._offset = offset
