"""Reaches MLflow within limits of time, and finds or makes the run that a journal belongs to.

Importing mlflow takes seconds, so each function imports it when it runs: one with nothing to send never does.
"""

import hashlib
import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scorefleet.tasks import config
from scorefleet.tasks.errors import ServiceError, UsageError
from scorefleet.tasks.records import relocated
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.records.once import RETRIES, found_or_made
from scorefleet.tasks.records.redaction import redact
from scorefleet.tasks.store.locks import locked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

RUN_TAG = "scorefleet.run"
PROBE_TIMEOUT_S = 5
SQLITE = "sqlite:///"
UNREADABLE = re.compile(r"[?\x00-\x1f]|%[0-9a-fA-F]{2}")
"""What a URL takes for its query, for a character in code, or for no part of it."""

# An MLflow client waits 120 s for an answer and tries 8 times unless told otherwise. A user's settings stay.
MLFLOW_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    RETRIES: "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what fails is raised too, and becomes one line
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def limit_mlflow() -> None:
    """Bound how long MLflow waits and how much it says; called before its first import."""
    for key, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(key, value)
    for name in ("urllib3.connectionpool", "alembic", "mlflow", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def tracking_uri(config: config.Register, root: Path) -> str:
    """Where MLflow is: the server of the configuration, or a sqlite file under the root."""
    uri = config.tracking_uri or f"{SQLITE}{root.absolute() / 'mlflow.db'}"
    if not uri.startswith(("http://", "https://", SQLITE)):
        allowed = "start with http://, https:// or sqlite:///"
        raise UsageError(f"register.tracking_uri must {allowed}, but got {redact(uri)!r}")
    if uri.startswith(SQLITE) and (found := UNREADABLE.search(uri)):
        raise UsageError(
            f"{uri.removeprefix(SQLITE)!r} holds {found[0]!r}, which MLflow cannot read in the path of its database: "
            "choose another --root, or a server with register.tracking_uri"
        )
    return uri


def is_made(uri: str) -> bool:
    """Whether the database under a root is there yet; to look into one makes it. A server is taken to have its own."""
    return not uri.startswith(SQLITE) or Path(uri.removeprefix(SQLITE)).exists()


@contextmanager
def service(uri: str) -> Iterator[None]:
    """Turn every way in which MLflow fails into a `ServiceError` of one line."""
    limit_mlflow()
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    # ValueError: an answer that is not JSON. OSError: artifacts that cannot be read or written.
    except (MlflowException, RequestException, SQLAlchemyError, sqlite3.Error, OSError, ValueError) as error:
        raise ServiceError(_line(uri, error)) from error


def _line(uri: str, error: Exception) -> str:
    """What went wrong, and what to do."""
    code = _status(error)
    if code == 401:
        remedy = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or write them into ~/.mlflow/credentials"
        return f"MLflow at {redact(uri)} does not know this user and password (401): {remedy}"
    reason = redact(str(error).strip().partition("\n")[0])[:300]
    if code == 403:
        remedy = "; its administrator can give you EDIT on the experiment and on the registered model"
    else:
        remedy = "" if code and code < 500 else "; once that is mended, the same command goes on"
    return f"MLflow at {redact(uri)} failed: {reason}{remedy}"


def _status(error: Exception) -> int | None:
    """The HTTP status that an error stands for, where it stands for one."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.get_http_status_code()
    response = getattr(error, "response", None)
    return None if response is None else response.status_code


def connect(uri: str) -> "MlflowClient":
    """A client of the server at `uri`; a server that gives no answer is given up after `PROBE_TIMEOUT_S`."""
    limit_mlflow()
    from mlflow import MlflowClient

    if uri.startswith(SQLITE):
        _make_database(Path(uri.removeprefix(SQLITE)))
    else:
        _probe(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _probe(uri: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    host = get_default_host_creds(uri)
    try:
        http_request(host, "/health", "GET", timeout=PROBE_TIMEOUT_S, max_retries=0, raise_on_status=False)
    except MlflowException as error:
        remedy = "start it, or leave register.tracking_uri out to record in a file under the root"
        raise ServiceError(f"no MLflow server answers at {redact(uri)}: {remedy}") from error


def _make_database(path: Path) -> None:
    """Make the tables once and whole: two processes at once would both fail, and a kill would leave half."""
    from mlflow import MlflowClient

    with locked(path.with_name(f"{path.name}.lock")):
        if path.exists():
            relocated.follow(path.absolute())
            return
        unfinished = path.with_name(f"{path.name}.unfinished")
        unfinished.unlink(missing_ok=True)
        MlflowClient(f"{SQLITE}{unfinished}").search_experiments(max_results=1)
        unfinished.rename(path)


def open_run(client: "MlflowClient", journal: Journal, experiment: str, artifact_root: Path, run_name: str) -> str:
    """The id of the run that carries the journal's key, made if there is none.

    A lock, which the journal's own writers never wait for, keeps the mirror, a step and a second process from making it
    twice.
    """
    with locked(journal.path.with_suffix(".run.lock")):
        experiment_id = _experiment_id(client, experiment, artifact_root)
        first = journal.read(0, 1)[0]
        start_time = first[0]["time"] if first else None
        tags = {RUN_TAG: journal.run_key}

        def find() -> str | None:
            found = client.search_runs([experiment_id], f"tags.`{RUN_TAG}` = '{journal.run_key}'")
            return min((run.info.run_id for run in found), default=None)

        return found_or_made(find, lambda: client.create_run(experiment_id, start_time, tags, run_name).info.run_id)


def _experiment_id(client: "MlflowClient", name: str, artifact_root: Path) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        location = artifact_root.absolute().as_uri() if client.tracking_uri.startswith(SQLITE) else None
        try:
            return client.create_experiment(name, artifact_location=location)
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another run has just made it
            if found is None:
                raise
    require_experiment(found)
    return found.experiment_id


def require_experiment(found: "Experiment | None") -> None:
    """Refuse an experiment that takes no runs; one that is not there will be made."""
    if found is not None and found.lifecycle_stage == "deleted":
        remedy = "restore it there, or choose another register.experiment"
        raise UsageError(f"experiment {found.name!r} is deleted in MLflow: {remedy}")


def endpoint_digest(uri: str, experiment: str) -> str:
    """Names a server and an experiment on it without keeping what may be a password in the URI."""
    return hashlib.sha256(f"{redact(uri)}\n{experiment}".encode()).hexdigest()
