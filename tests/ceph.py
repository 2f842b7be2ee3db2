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
BUCKET, USER = "draws", "tests"

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


class Ceph:
    """The daemons of a folder; all that was started is stopped by process id."""

    def __init__(self, folder: Path):
        self.monitor, gateway, self.fsid = _free_port(), _free_port(), uuid.uuid4()
        self.endpoint = f"http://127.0.0.1:{gateway}"
        self._folder, self._configuration = folder, folder / "ceph.conf"
        settings = {"fsid": self.fsid, "folder": folder, "monitor": self.monitor, "gateway": gateway}
        self._configuration.write_text(CONFIGURATION.format(**settings))
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def call(self, *words: str) -> None:
        """Run one of Ceph's programs to its end."""
        command = [words[0], "-c", str(self._configuration), *words[1:]]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def start(self, *words: str) -> None:
        """Start a daemon."""
        with (self._folder / f"{words[0]}.log").open("ab") as log:
            command = [words[0], "-c", str(self._configuration), *words[1:], "-f"]
            self._daemons[words[0]] = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self, name: str) -> None:
        """Kill a daemon."""
        daemon = self._daemons.pop(name)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()

    def stop_all(self) -> None:
        """The last first."""
        for name in list(reversed(self._daemons)):
            self.stop(name)

    def start_gateway(self) -> None:
        """The S3, once it answers."""
        self.start("radosgw", "-n", "client.rgw.tests")
        _wait_for(self.endpoint)

    def limit(self, num_objects: int) -> None:
        """How many objects the user may have, -1 for any number; the gateway goes by it when it starts again."""
        scope = ("--uid", USER, "--quota-scope", "user")
        self.call("radosgw-admin", "quota", "set", *scope, "--max-objects", str(num_objects))
        self.call("radosgw-admin", "quota", "enable", *scope)


@contextmanager
def running(folder: Path) -> Iterator[Ceph]:
    """A gateway with one user, and what stands behind it."""
    for name in ("mon", "osd"):
        (folder / name).mkdir()
    ceph, osd = Ceph(folder), uuid.uuid4()
    try:
        address = f"[v2:127.0.0.1:{ceph.monitor}]"
        ceph.call("monmaptool", "--create", "--fsid", str(ceph.fsid), "--addv", "a", address, f"{folder}/map")
        ceph.call("ceph-mon", "-i", "a", "--mkfs", "--monmap", f"{folder}/map")
        ceph.start("ceph-mon", "-i", "a")
        ceph.call("ceph", "osd", "new", str(osd))
        ceph.call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", str(osd))
        ceph.start("ceph-osd", "-i", "0")
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        ceph.call("radosgw-admin", "user", "create", "--uid", USER, "--display-name", USER, *keys)
        ceph.start_gateway()
        yield ceph
    finally:
        ceph.stop_all()


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
