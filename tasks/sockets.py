"""Has training workers talk by the addresses that Ray knows their nodes by.

Left to themselves gloo takes what the host's name stands for, which on Debian is 127.0.1.1, where no other host finds
it, and NCCL any interface.
"""

import os
import socket
from typing import Any

import psutil
import ray.util
from ray.train.torch import TorchConfig

NAMES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


class OwnAddress(TorchConfig):
    """Torch's process group over the interface by which each node is known to Ray."""

    @property
    def backend_cls(self) -> Any:
        return _Backend


class _Backend(TorchConfig().backend_cls):
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        worker_group.execute(_choose_interface)
        super().on_start(worker_group, backend_config)


def _choose_interface() -> None:
    for name in NAMES:
        os.environ.setdefault(name, interface_of(ray.util.get_node_ip_address()))


def interface_of(address: str) -> str:
    """The network interface that has `address`."""
    families = (socket.AF_INET, socket.AF_INET6)
    for name, addresses in psutil.net_if_addrs().items():
        if any(one.family in families and one.address.partition("%")[0] == address for one in addresses):
            return name
    raise LookupError(f"no network interface of {socket.gethostname()} has the address {address} that Ray has for it")
