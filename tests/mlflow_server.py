"""A team's MLflow: a server that asks for user and password, on PostgreSQL, its artifacts in a bucket, on loopback."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.postgres import Postgres

RUNS, USERS = "mlflow", "mlflow_auth"
"""Its two databases."""

AUTH = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = {users}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


class Server:
    """The server with its workers, which are one process group. No secret is in a word of its command."""

    def __init__(self, folder: Path, postgres: Postgres, bucket: str, to_bucket: Mapping[str, str]):
        self.log, self._folder = folder / "log", folder
        self.admin = ("admin", secrets.token_hex(16))
        self.uri = f"http://127.0.0.1:{_free_port()}"
        self._bucket = bucket
        (folder / "auth.ini").write_text(AUTH.format(users=postgres.uri(USERS)))
        mlflow = {
            "MLFLOW_BACKEND_STORE_URI": postgres.uri(RUNS),
            "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.admin[1],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PGPASSFILE": str(postgres.passwords),
            "AWS_REQUEST_CHECKSUM_CALCULATION": "WHEN_REQUIRED",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "WHEN_REQUIRED",
        }
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "MLFLOW_"))}
        self._environment = clean | mlflow | dict(to_bucket)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "2"]
        command += ["--host", "127.0.0.1", "--port", self.uri.rpartition(":")[2]]
        command += ["--artifacts-destination", f"s3://{self._bucket}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while not _answers(f"{self.uri}/health"):
            is_late = self._process.poll() is not None or time.monotonic() > deadline
            assert not is_late, self.log.read_text()[-4000:]
            time.sleep(0.1)

    def signal(self, number: signal.Signals) -> None:
        """To it and its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def add_user(self, name: str) -> dict[str, str]:
        """Make a user, who may do nothing yet but make things; what that user sets to get here."""
        password = f"canary-{secrets.token_hex(16)}"
        self.ask("2.0/mlflow/users/create", username=name, password=password)
        return {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password}

    def grant(self, user: str, kind: str, name: str, permission: str) -> None:
        """READ, EDIT or MANAGE of an experiment, by its id, or of a registered_model."""
        words = {"username": user, "resource_type": kind, "resource_id": name, "permission": permission}
        self.ask("3.0/mlflow/users/permissions/grant", **words)

    def ask(self, path: str, **words: str) -> dict[str, Any]:
        """What it answers its administrator."""
        basic = b64encode(":".join(self.admin).encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.uri}/api/{path}", json.dumps(words).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")


@contextmanager
def running(folder: Path, postgres: Postgres, bucket: str, to_bucket: Mapping[str, str]) -> Iterator[Server]:
    """A server whose databases are made first; `to_bucket` is what the environment says of how to get there."""
    for database in (RUNS, USERS):
        postgres.query(f"CREATE DATABASE {database}")
    server = Server(folder, postgres, bucket, to_bucket)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
