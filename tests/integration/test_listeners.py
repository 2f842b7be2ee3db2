"""Nothing of a run on one machine can be reached from another, but for the store where torch's workers meet.

torch.distributed opens that store on every interface, without a token, for as long as training lasts.
"""

import ipaddress
import subprocess

import psutil
import pytest

from tests.integration import tiny


def listeners(root: psutil.Process) -> set[tuple[str, str]]:
    """Where a process and its descendants listen: (address, program)."""
    tree = {member.pid: member.name() for member in [root, *root.children(recursive=True)]}
    found = (entry for entry in psutil.net_connections("tcp") if entry.status == psutil.CONN_LISTEN)
    return {(entry.laddr.ip, tree[entry.pid]) for entry in found if entry.pid in tree}


def is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


@pytest.mark.timeout(600)
def test_ports_are_on_loopback_in_training_and_sampling(tmp_path):
    process = subprocess.Popen(
        tiny.command("run", tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=tiny.clean_environment(),
    )
    seen: set[tuple[str, str]] = set()
    while process.poll() is None:
        try:
            seen |= listeners(psutil.Process(process.pid))
        except psutil.NoSuchProcess:
            continue
    assert process.returncode in (0, 6)
    assert {"raylet", "gcs_server"} <= {program for _, program in seen}
    open_to_others = {(address, program) for address, program in seen if not is_loopback(address)}
    assert {program for _, program in open_to_others} <= {"ray::RayTrainWorker"[:15]}
