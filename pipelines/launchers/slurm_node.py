"""One node's Ray in a Slurm job: `python -m scorefleet.pipelines.launchers.slurm_node start head|worker ADDRESS` keeps
it until its standard input ends, and `... await COUNT` waits until so many nodes have joined.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

LOOPBACK = "127.0.0.1"
OBJECT_STORE_BYTES = 200_000_000
"""For small messages: samples and rows never pass through it."""

PATIENCE_S = 180.0
MOST_STARTS = 3
"""Ray gives its processes half a minute, in which a busy node may not have read them from a cold file system."""

LOOK_S, END_S = 1.0, 5.0


class Told(BaseException):
    """SIGTERM; those after the first are ignored, so that what must be left in order is."""


def listen() -> None:
    """Have SIGTERM raise `Told`."""

    def tell(number: int, frame: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Told

    signal.signal(signal.SIGTERM, tell)


def own_address(other: str) -> str:
    """The address by which this node reaches `other`; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:
        towards.connect((other, 9))
        return towards.getsockname()[0]


def free_port(address: str) -> int:
    """A port where nothing listens now."""
    with socket.create_server((address, 0)) as listener:
        return listener.getsockname()[1]


def end(process: "subprocess.Popen[bytes]", patience_s: float) -> int:
    """Tell a process to end, and see to it; what it returned, 128 and its signal where one ended it."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
    code = process.wait()
    return code if code >= 0 else 128 - code


def start(role: str, address: str) -> int:
    """Ray's processes on this node, until standard input ends; `address` is the head's, with its port."""
    listen()
    host, _, port = address.partition(":")
    own = own_address(host)
    folder = tempfile.mkdtemp(prefix="sf", dir="/tmp")  # mode 700, and short as Ray's sockets want it
    words = ["start", "--block", "--disable-usage-stats", f"--node-ip-address={own}", f"--temp-dir={folder}"]
    words += [f"--num-cpus={os.environ['SLURM_CPUS_ON_NODE']}", f"--object-store-memory={OBJECT_STORE_BYTES}"]
    words += ["--min-worker-port=0", "--max-worker-port=0"]
    code, late = None, time.monotonic() + PATIENCE_S
    try:
        for _ in range(MOST_STARTS):
            if role == "worker":
                wait_for(host, int(port))
                where = [f"--address={address}"]
            else:  # several jobs may share a node, and so a port for clients
                where = ["--head", f"--port={port}", "--include-dashboard=false"]
                where += [f"--ray-client-server-port={free_port(own)}"]
            code = _keep([*words, *where])
            if code is None or time.monotonic() > late:
                break
        return code or 0
    except Told:
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # its processes may still be writing


def _keep(words: Sequence[str]) -> int | None:
    """Ray, until standard input ends; what it returned, if it ended before."""
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    ray = subprocess.Popen([sys.executable, "-m", "ray.scripts.scripts", *words], env=environment)
    try:
        while ray.poll() is None and not select.select([sys.stdin], [], [], LOOK_S)[0]:
            pass
        return ray.poll()
    finally:
        end(ray, END_S)


def wait_for(host: str, port: int) -> None:
    """Until something takes connections there."""
    wait_until(lambda: _answers(host, port), f"nothing answers at {host}:{port}")


def wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    """Look once a second, and end the process when it has taken too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"{otherwise} after {PATIENCE_S:.0f} s")
        time.sleep(LOOK_S)


def await_nodes(count: int) -> int:
    """Until so many nodes have joined the Ray of RAY_ADDRESS."""
    host, _, port = os.environ["RAY_ADDRESS"].partition(":")
    wait_for(host, int(port))
    import ray  # late, since a node's own process needs none of it

    ray.init(address="auto", log_to_driver=False)
    wait_until(lambda: sum(node["Alive"] for node in ray.nodes()) == count, f"not all of {count} nodes have joined")
    return 0


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(start(*sys.argv[2:]) if sys.argv[1] == "start" else await_nodes(int(sys.argv[2])))
