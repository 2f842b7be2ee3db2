"""Hosts on this machine: each with a network, processes, name and Ray's folders of its own, on a bridge between them.

Files are shared, as on a cluster with a network file system. All that runs on a host ends with it.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests import looking
from tests.integration.tiny import clean_environment

REPOSITORY = Path(__file__).parents[1]
PROGRAMS = ("ip", "nsenter", "unshare", "mount")
PORT = 6379
CONFINED = (
    "hostname {name} && mkdir -p /tmp/ray && mount -t tmpfs tmpfs /tmp/ray && mount -t tmpfs -o size=256m tmpfs "
    "/dev/shm || exit; sleep infinity & wait"
)
"""The shell stays, since the first process of a host must reap what others leave behind."""

ENVIRONMENT = {
    "PYTHONPATH": str(REPOSITORY),
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",  # a host that is cut off lives on
}


def missing() -> str | None:
    """Why there can be no hosts here."""
    programs = [name for name in PROGRAMS if shutil.which(name) is None]
    if programs:
        return f"{', '.join(programs)} is not installed: apt-get install iproute2 util-linux"
    return None if os.geteuid() == 0 else "needs root, for network namespaces"


class Host:
    """One of them, at 10.231.7.(11 + number) of a network of its own."""

    def __init__(self, network: str, number: int, environment: dict[str, str]):
        self.space, self.address = f"{network}-{number}", f"10.231.7.{11 + number}"
        self._link, self._environment = f"veth{number}", environment
        bridge_end = ("peer", "name", f"host{number}", "netns", network)
        _ip("netns", "add", self.space)
        _ip("link", "add", self._link, "netns", self.space, "type", "veth", *bridge_end)
        _ip("-n", network, "link", "set", f"host{number}", "master", "bridge", "up")
        _ip("-n", self.space, "addr", "add", f"{self.address}/24", "dev", self._link)
        for link in ("lo", self._link):
            _ip("-n", self.space, "link", "set", link, "up")
        confine = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--ipc", "--uts", "--mount-proc"]
        keep = ["bash", "-c", CONFINED.format(name=f"host{number}")]
        self._outer = subprocess.Popen(["ip", "netns", "exec", self.space, *confine, *keep])

    def popen(self, *words: str, **options: object) -> "subprocess.Popen[str]":
        """Start a program there."""
        while not (inner := psutil.Process(self._outer.pid).children()):
            pass
        enter = ["nsenter", "--target", str(inner[0].pid), "--net", "--pid", "--mount", "--ipc", "--uts"]
        return subprocess.Popen([*enter, *words], env=self._environment, text=True, **options)  # pyright: ignore

    def start_ray(self, head: "Host | None" = None) -> None:
        """A node of one CPU: the head, or one that joins that of another host."""
        ray = str(Path(sys.executable).with_name("ray"))
        where = ["--head", f"--port={PORT}", "--include-dashboard=false"]
        if head is not None:
            where = [f"--address={head.address}:{PORT}"]
        size = ["--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
        started = self.popen(ray, "start", *where, f"--node-ip-address={self.address}", *size, stdout=subprocess.PIPE)
        said, _ = started.communicate(timeout=300)
        assert started.returncode == 0, said

    def processes(self, name: str) -> list[psutil.Process]:
        """Those whose command line begins so."""
        there = looking.command_lines(looking.family(self._outer.pid))
        return [process for process, line in there if line.startswith(name)]

    def cut(self) -> None:
        """Take it off the network."""
        _ip("-n", self.space, "link", "set", self._link, "down")

    def end(self) -> None:
        """As when its power fails."""
        self._outer.send_signal(signal.SIGKILL)
        self._outer.wait()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def running(number: int) -> Iterator[list[Host]]:
    """So many hosts, without anything on them yet."""
    network = f"sf{secrets.token_hex(3)}"
    environment = clean_environment() | ENVIRONMENT | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    hosts: list[Host] = []
    _ip("netns", "add", network)
    try:
        _ip("-n", network, "link", "add", "bridge", "type", "bridge")
        _ip("-n", network, "link", "set", "bridge", "up")
        for count in range(number):
            hosts.append(Host(network, count, environment))
        yield hosts
    finally:
        for host in hosts:
            host.end()
        for space in (*(host.space for host in hosts), network):
            _ip("netns", "del", space)
