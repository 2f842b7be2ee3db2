"""A real PostgreSQL on loopback, which asks for a password, in a folder of its own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("postgresql",)
PROGRAMS = ("initdb", "postgres", "pg_dump", "psql")
USER = "mlflow"
SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "60"}
UNPRIVILEGED = "postgres"
"""Who runs it where we are root, which it refuses."""


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in PROGRAMS if _program(name) is None]


class Postgres:
    """The server of a folder; it is stopped by process id. `passwords` is a PGPASSFILE, for its owner alone."""

    def __init__(self, folder: Path, passwords: Path):
        self.password, self.passwords, self.port = secrets.token_hex(16), passwords, _free_port()
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        word_file = folder / "password"
        word_file.write_text(self.password)
        _hand_over(word_file)
        made = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={word_file}", "--encoding=UTF8"]
        initdb = [str(_program("initdb")), "-D", str(folder / "data"), *made]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **_unprivileged())
        word_file.unlink()
        passwords.touch(mode=0o600)
        passwords.write_text(f"127.0.0.1:{self.port}:*:{USER}:{self.password}\n")

    def uri(self, database: str) -> str:
        """For SQLAlchemy, without the password."""
        return f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, once what a killed one left behind has ended too, and wait until it answers."""
        options = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}")]
        command = [str(_program("postgres")), "-D", str(self._folder / "data"), "-p", str(self.port), *options]
        deadline = time.monotonic() + 60
        with (self._folder / "log").open("ab") as log:
            while not self._answers():
                assert time.monotonic() < deadline, (self._folder / "log").read_text()
                if self._server is None or self._server.poll() is not None:
                    self._server = subprocess.Popen(command, stdout=log, stderr=log, **_unprivileged())
                time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL of the postmaster; its children end when they notice."""
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait()
            self._server = None

    def query(self, sql: str, database: str = "postgres") -> str:
        """What psql prints for one statement."""
        return self._call("psql", "--no-align", "--tuples-only", f"--command={sql}", f"--dbname={database}")

    def dump(self, database: str) -> str:
        """All of a database, as SQL."""
        return self._call("pg_dump", database)

    def _call(self, program: str, *words: str) -> str:
        where = ["--no-password", "--host=127.0.0.1", f"--port={self.port}", f"--username={USER}"]
        environment = os.environ | {"PGPASSFILE": str(self.passwords)}
        command = [str(_program(program)), *where, *words]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout

    def _answers(self) -> bool:
        try:
            return self.query("SELECT 1") == "1\n"
        except subprocess.CalledProcessError:
            return False


@contextmanager
def running(passwords: Path) -> Iterator[Postgres]:
    """A server with no database yet, in a folder that whoever runs it can reach."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        _hand_over(Path(name))
        postgres = Postgres(Path(name), passwords)
        try:
            postgres.start()
            yield postgres
        finally:
            postgres.kill()


def _program(name: str) -> Path | None:
    """Debian keeps the server's programs out of PATH."""
    found = shutil.which(name) or max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), default=None)
    return found and Path(found)


def _unprivileged() -> dict[str, str]:
    return {"user": UNPRIVILEGED, "group": UNPRIVILEGED} if os.geteuid() == 0 else {}


def _hand_over(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, UNPRIVILEGED, UNPRIVILEGED)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
