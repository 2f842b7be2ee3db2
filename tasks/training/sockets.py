"""Has training workers meet and talk at the addresses that Ray knows their nodes by, and at no other.

Left to themselves gloo takes what the host's name stands for, which on Debian is 127.0.1.1, where no other host finds
it, NCCL any interface, and the store where the workers meet listens on all of them.
"""

import os
import socket
from datetime import timedelta
from typing import Any

import psutil
import ray
from ray.train.torch import TorchConfig
from torch.distributed import TCPStore, init_process_group  # pyright: ignore[reportPrivateImportUsage]

NAMES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
_served: list[TCPStore] = []
"""The store of rank 0, which listens as long as its process lives."""


class OwnAddress(TorchConfig):
    """Torch's process group over the interface by which each node is known to Ray."""

    @property
    def backend_cls(self) -> Any:
        return _Backend


class _Backend(TorchConfig().backend_cls):
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        """In place of Ray's own, which has `torch.distributed` make the store."""
        backend = "nccl" if worker_group.get_resources_per_worker().get("GPU", 0) else "gloo"
        address, port = worker_group.execute_single(0, _serve)
        timeout, size = timedelta(seconds=backend_config.timeout_s), len(worker_group)
        words = (backend, address, port, timeout, size)
        ray.get([worker_group.execute_single_async(rank, _join, rank, *words) for rank in range(size)])


def _serve() -> tuple[str, int]:
    """Where the workers meet."""
    address = ray.util.get_node_ip_address()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 0), family=family)
    port = listener.getsockname()[1]
    _served.append(TCPStore(address, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach()))
    return address, port


def _join(rank: int, backend: str, address: str, port: int, timeout: timedelta, world_size: int) -> None:
    for name in NAMES:
        os.environ.setdefault(name, interface_of(ray.util.get_node_ip_address()))
    store = TCPStore(address, port)
    init_process_group(backend, store=store, timeout=timeout, rank=rank, world_size=world_size)


def interface_of(address: str) -> str:
    """The network interface that has `address`."""
    families = (socket.AF_INET, socket.AF_INET6)
    for name, addresses in psutil.net_if_addrs().items():
        if any(one.family in families and one.address.partition("%")[0] == address for one in addresses):
            return name
    raise LookupError(f"no network interface of {socket.gethostname()} has the address {address} that Ray has for it")
