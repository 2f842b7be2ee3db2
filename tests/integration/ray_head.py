"""A real Ray head on loopback that asks for a token, in processes of its own."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml

from tests import looking
from tests.integration.conftest import free_port, wait_until
from tests.integration.tiny import clean_environment

REPOSITORY = Path(__file__).parents[2]
FAKE_HEAD = "f" * 51 + "00000"
FAKE_PROVIDER = {
    "type": "external",
    "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
    "launch_multiple": True,
}
"""Ray's own: nodes are processes of this machine. By its name, `fake_multinode`, it wants a file that wheels lack."""

NOTHING_TO_SET_UP = {
    **{"auth": {}, "file_mounts": {}, "cluster_synced_files": [], "initialization_commands": []},
    **{f"{who}setup_commands": [] for who in ("", "head_", "worker_")},
    **{f"{who}_start_ray_commands": [] for who in ("head", "worker")},
}
"""What there must be in the file for a provider that Ray does not know."""

FAKE_CLUSTER = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD,
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}
"""As `ray up` has it on a cloud, and by which the provider knows the head."""


class Head(NamedTuple):
    """`to` is for --to, `address` for cluster.address; `folder` holds all that it writes, `process` is its first."""

    to: str
    address: str
    token: str
    folder: Path
    process: psutil.Process


@contextmanager
def running(autoscaling: Mapping[str, Any] | None = None) -> Iterator[Head]:
    """Start it, and end every process of it at the end. Sockets want a short path.

    Where `autoscaling` is given, the cluster as `ray up` would read it, the head has no CPUs, and its autoscaler starts
    nodes on this machine.
    """
    with tempfile.TemporaryDirectory(prefix="head", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder, token = Path(name), secrets.token_hex(32)
        (folder / "token").touch(0o600)
        (folder / "token").write_text(token)
        port, dashboard = free_port(), free_port()
        words, more = _command(folder, port, dashboard), {}
        if autoscaling is not None:
            provider = FAKE_PROVIDER | {"gcs_address": f"127.0.0.1:{port}"}
            (folder / "autoscaling.yaml").write_text(
                yaml.safe_dump(NOTHING_TO_SET_UP | {**autoscaling, "provider": provider})
            )
            words, more = [*words, "--num-cpus=0", f"--autoscaling-config={folder}/autoscaling.yaml"], FAKE_CLUSTER
        with (folder / "head.log").open("wb") as log:
            head = subprocess.Popen(
                words,
                env=environment(folder / "token") | more,
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
    processes = looking.family(head.pid)
    head.send_signal(signal.SIGTERM)
    looking.kill(psutil.wait_procs(processes, timeout=15)[1])
    head.wait()
