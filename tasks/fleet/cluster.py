"""Connects to a Ray cluster, or starts one of its own on this machine: authenticated, on loopback."""

import logging
import os
import secrets
import signal
import socket
import threading
from functools import cache
from pathlib import Path

import ray

from scorefleet.tasks import config
from scorefleet.tasks.config.cluster import AUTO
from scorefleet.tasks.console import notify
from scorefleet.tasks.errors import ServiceError, UsageError
from scorefleet.tasks.fleet.ray_folder import make_ray_folder
from scorefleet.tasks.fleet.secure import cluster_token
from scorefleet.tasks.remedies import remedy_of

NOT_SENT = [".git", ".venv", "__pycache__", "runs"]
"""What workers need nothing of; Ray leaves out what .gitignore lists besides."""

ANSWER_S = 10.0
"""How long a cluster's head may take to accept a connection."""

ONE_ATTEMPT = ("RAY_gcs_server_port_wait_time_s", "1")
"""Ray would ask what accepts connections and never answers twenty times, for 35 s each."""

OWN = "scorefleet-own"
"""Namespace of a Ray of our own, by which it is known again."""

IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray Jobs sets it for what they run."""


def connect(cluster: config.Cluster, working_folder: Path | None = None) -> None:
    """Connect once; a later call finds the connection.

    Without an address a Ray of our own starts, with a token that lives as long as it and object store for small
    messages: samples and rows never pass through it. Its workers stand in this process's folder and see its
    environment; those of a cluster get a copy of `working_folder`, where there is one, to stand in.
    """
    if ray.is_initialized():
        return
    if os.environ.get("RAY_AUTH_MODE") != "token":
        raise UsageError(
            "RAY_AUTH_MODE must be token before Ray is imported: call scorefleet.tasks.fleet.secure.secure_ray() first"
        )
    before = signal.getsignal(signal.SIGTERM)
    try:
        _connect(cluster, working_folder)
    finally:
        if threading.current_thread() is threading.main_thread():  # where Ray sets a handler that ends the process
            signal.signal(signal.SIGTERM, before)


def _connect(cluster: config.Cluster, working_folder: Path | None) -> None:
    if cluster.address is None:
        os.environ["RAY_AUTH_TOKEN"] = _own_token()
        _start(cluster)
        return
    _require_head(cluster.address)
    os.environ.setdefault(*ONE_ATTEMPT)
    sent = working_folder and IN_A_JOB not in os.environ  # the workers of a job stand in its own folder already
    try:
        ray.init(
            address=cluster.address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"working_dir": str(working_folder), "excludes": NOT_SENT} if sent else None,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:  # what answers there is no head, or not one of ours
        line = str(error).strip().partition("\n")[0][:160]
        raise ServiceError(f"{_nobody_at(cluster.address)} ({line})") from error


@cache
def _own_token() -> str:
    """Return the token of every Ray that this process starts: Ray's library reads it once a process."""
    return secrets.token_hex(32)


def _require_head(address: str) -> None:
    """Refuse at once what no connection can be made to, and to go there without a token; `auto`, which is of this
    machine, is found by Ray itself.
    """
    if address == AUTO:
        return
    cluster_token()
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        raise ServiceError(f"{_nobody_at(address)} ({error.strerror or error})") from error


def _nobody_at(address: str) -> str:
    return (
        f"no Ray cluster answers at {address!r}: start it, compare its token with yours, or leave cluster.address out"
    )


def _start(cluster: config.Cluster) -> None:
    folder = make_ray_folder()
    for is_last in (False, True):
        try:
            ray.init(
                address="local",
                namespace=OWN,
                num_cpus=cluster.num_cpus or max(2, os.cpu_count() or 1),
                include_dashboard=False,
                object_store_memory=256 * 2**20,
                _temp_dir=str(folder),
                _node_ip_address="127.0.0.1",
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            return
        except OSError as error:
            raise _not_started(folder, error, remedy_of(error)) from error
        except Exception as error:  # Ray gives a node 30 s, and has no narrower class for one that is not up by then
            ray.shutdown()
            if is_last:
                remedy = "if the machine was busy, run the same command again"
                raise _not_started(folder, error, remedy) from error


def _not_started(folder: Path, error: Exception, remedy: str) -> ServiceError:
    line = str(error).strip().partition("\n")[0]
    return ServiceError(f"Ray did not start ({line}; logs in {folder}/session_latest/logs): {remedy}")


def num_cpus() -> int:
    """CPUs of the cluster."""
    return int(ray.cluster_resources().get("CPU", 0))


def num_gpus() -> int:
    """GPUs of the cluster."""
    return int(ray.cluster_resources().get("GPU", 0))


def this_node() -> str:
    """The node where this process runs."""
    return ray.get_runtime_context().get_node_id()


def living_nodes() -> set[str]:
    """Nodes that the cluster has and has not lost."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def require_cpus(count: int, key: str) -> None:
    """Refuse to wait for ever for workers that a Ray of our own cannot hold. To a cluster nodes may come, and whether
    they can, none says: people are told.
    """
    if num_cpus() >= count:
        return
    lacking = f"{key} is {count}, but the cluster has {num_cpus()} CPUs"
    if ray.get_runtime_context().namespace == OWN:
        raise UsageError(f"{lacking}: lower it, or raise cluster.num_cpus")
    notify(f"scorefleet: {lacking} yet; waiting for nodes to join. If none will, lower it")
