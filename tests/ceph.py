"""A real S3 on loopback: Ceph's monitor, object store daemon and gateway, in a folder of their own."""

import shutil
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("radosgw", "ceph-mon", "ceph-osd", "ceph-common")
DAEMONS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool")
ACCESS_KEY, SECRET_KEY = "CANARYACCESSKEY00000", "canary-secret-key-that-no-file-may-hold"
BUCKET = "draws"

CONFIGURATION = """[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{monitor}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms client mode = crc
ms service mode = crc
ms cluster mode = crc
run dir = {folder}
admin socket =
log file =
keyring = {folder}/keyring
mon data = {folder}/mon
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 1
paxos propose interval = 0.05
paxos min wait = 0.01
osd data = {folder}/osd
osd objectstore = bluestore
bluestore block size = 2147483648
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd crush chooseleaf type = 0
rgw rados pool pg num min = 1
rgw data = {folder}
rgw frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
"""


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in DAEMONS if shutil.which(name) is None]


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The endpoint of a gateway with one user and one bucket; all that was started is stopped by process id."""
    monitor, gateway = _free_port(), _free_port()
    fsid, osd = uuid.uuid4(), uuid.uuid4()
    for name in ("mon", "osd"):
        (folder / name).mkdir()
    configuration = folder / "ceph.conf"
    configuration.write_text(CONFIGURATION.format(fsid=fsid, folder=folder, monitor=monitor, gateway=gateway))
    daemons: list[subprocess.Popen[bytes]] = []

    def call(*words: str) -> None:
        subprocess.run([words[0], "-c", str(configuration), *words[1:]], check=True, capture_output=True, timeout=60)

    def start(*words: str) -> None:
        with (folder / f"{words[0]}.log").open("wb") as log:
            daemons.append(
                subprocess.Popen([words[0], "-c", str(configuration), *words[1:], "-f"], stdout=log, stderr=log)
            )

    try:
        call("monmaptool", "--create", "--fsid", str(fsid), "--addv", "a", f"[v2:127.0.0.1:{monitor}]", f"{folder}/map")
        call("ceph-mon", "-i", "a", "--mkfs", "--monmap", f"{folder}/map")
        start("ceph-mon", "-i", "a")
        call("ceph", "osd", "new", str(osd))
        call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", str(osd))
        start("ceph-osd", "-i", "0")
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        call("radosgw-admin", "user", "create", "--uid", "tests", "--display-name", "tests", *keys)
        start("radosgw", "-n", "client.rgw.tests")
        endpoint = f"http://127.0.0.1:{gateway}"
        _wait_for(endpoint)
        yield endpoint
    finally:
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()


def environment(endpoint: str) -> dict[str, str]:
    """What a user sets to get there; three attempts, so that a dead server is found out soon."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "5",
    }


def make_bucket(endpoint: str, name: str) -> None:
    """Make a bucket with the client of pyarrow, which has a call for it."""
    from pyarrow import fs

    where = {"scheme": "http", "endpoint_override": endpoint.removeprefix("http://"), "region": "us-east-1"}
    client = fs.S3FileSystem(access_key=ACCESS_KEY, secret_key=SECRET_KEY, allow_bucket_creation=True, **where)
    client.create_dir(name)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _wait_for(endpoint: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(endpoint, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "radosgw does not answer"
            time.sleep(0.1)
