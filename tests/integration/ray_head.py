"""A real Ray head on loopback that asks for a token, in processes of its own."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.integration.conftest import free_port, wait_until
from tests.integration.tiny import clean_environment

REPOSITORY = Path(__file__).parents[2]


class Head(NamedTuple):
    """`to` is for --to, `address` for cluster.address; `folder` holds all that it writes, `process` is its first."""

    to: str
    address: str
    token: str
    folder: Path
    process: psutil.Process


@contextmanager
def running() -> Iterator[Head]:
    """Start it, and end every process of it at the end. Sockets want a short path."""
    with tempfile.TemporaryDirectory(prefix="head", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder, token = Path(name), secrets.token_hex(32)
        (folder / "token").touch(0o600)
        (folder / "token").write_text(token)
        port, dashboard = free_port(), free_port()
        with (folder / "head.log").open("wb") as log:
            head = subprocess.Popen(
                _command(folder, port, dashboard),
                env=environment(folder / "token"),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            to = f"http://127.0.0.1:{dashboard}"
            wait_until(lambda: status(f"{to}/api/jobs/", token) == 200, 90)
            yield Head(to, f"127.0.0.1:{port}", token, folder, psutil.Process(head.pid))
        finally:
            _end(head)


def status(url: str, token: str | None) -> int:
    """How a server answers who gives a token, or none; 0 where there is no answer."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    except OSError:
        return 0


def environment(token_file: Path) -> dict[str, str]:
    """What docs/clusters.md has a head start with; its Python is this one."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return clean_environment() | {
        "PATH": path,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "GLOO_SOCKET_IFNAME": "lo",
    }


def _command(folder: Path, port: int, dashboard: int) -> list[str]:
    ports = {
        "port": port,
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": free_port(),
        "dashboard-agent-grpc-port": free_port(),
        "ray-client-server-port": free_port(),
        "min-worker-port": 0,
        "max-worker-port": 0,
        "num-cpus": 2,
        "object-store-memory": 100_000_000,
    }
    words = ["start", "--head", "--block", "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]
    words += [f"--temp-dir={folder}/ray", *(f"--{key}={value}" for key, value in ports.items())]
    return [sys.executable, "-m", "ray.scripts.scripts", *words]


def _end(head: subprocess.Popen[bytes]) -> None:
    """Those that it started, and those that these did."""
    processes = psutil.Process(head.pid).children(recursive=True)
    head.send_signal(signal.SIGTERM)
    for process in psutil.wait_procs(processes, timeout=15)[1]:
        process.kill()
    head.kill()
    head.wait()
