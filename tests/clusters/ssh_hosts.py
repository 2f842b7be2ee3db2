"""Hosts that are reached by ssh, as rented machines are: each with a home, accounts and an sshd of its own."""

import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests import hosts
from tests.integration.conftest import wait_until

USER, KEY = "scorefleet", "scorefleet"
"""As in cluster.yaml."""

BIN = Path(sys.prefix) / "bin"
PROGRAMS = ("sshd", "ssh", "ssh-keygen", "rsync")
ACCOUNTS = "{user}:x:0:0::{home}:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
"""The user of each host; as root of this machine, whose folders they share, by another name."""

SSHD = """\
ListenAddress {address}
HostKey {home}/sshd/key
PidFile none
AuthorizedKeysFile .ssh/authorized_keys
AuthenticationMethods publickey
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
"""
PRIVATE = "mount --bind {home}/passwd /etc/passwd && mount -t tmpfs tmpfs /run && mkdir /run/sshd"


def missing() -> str | None:
    """Why there can be no such hosts here."""
    programs = [name for name in PROGRAMS if shutil.which(name) is None]
    if programs:
        return f"{', '.join(programs)} is not installed: apt-get install openssh-server rsync"
    return hosts.missing()


class Machine(NamedTuple):
    """A host, and the home of the user on it."""

    host: hosts.Host
    home: Path

    def popen(self, *words: str, **options: object) -> "subprocess.Popen[str]":
        """Start a program as one does who has logged in."""
        login = {"HOME": str(self.home), "USER": USER, "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin"}
        clean = ["env", "-i", *(f"{key}={value}" for key, value in login.items())]
        return self.host.popen(*clean, *words, **options)

    def shell(self, command: str, folder: Path, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a line of the documentation, in a folder, to its end."""
        started = self.popen(
            *("bash", "-c", f"cd {shlex.quote(str(folder))} && {command}"),
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
        )
        said, _ = started.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(command, started.returncode, said)


@contextmanager
def running(number: int, folder: Path) -> Iterator[tuple[Machine, list[Machine]]]:
    """So many hosts, and before them the one whose key opens them; homes are in `folder`."""
    with hosts.running(number + 1) as started:
        own, *others = (Machine(host, folder / host.space.rpartition("-")[2]) for host in started)
        for machine in (own, *others):
            _settle(machine)
        key = own.home / ".ssh" / KEY
        _make_key(key)
        known = own.home / ".ssh" / "known_hosts"
        (own.home / ".ray").mkdir(0o700)
        token = own.home / ".ray" / "auth_token"
        token.touch(0o600)
        token.write_text(secrets.token_hex(32))
        servers: list[subprocess.Popen[str]] = []
        for machine in others:
            shutil.copy(key.with_suffix(".pub"), machine.home / ".ssh" / "authorized_keys")
            servers.append(_serve_ssh(machine))
            with known.open("a") as file:
                file.write(f"{machine.host.address} {(machine.home / 'sshd' / 'key.pub').read_text()}")
        yield own, others
    for server in servers:  # which have ended with their hosts
        server.wait()


def _settle(machine: Machine) -> None:
    """A home, and the accounts that say where it is."""
    (machine.home / ".ssh").mkdir(0o700, parents=True)
    (machine.home / ".bashrc").touch()
    (machine.home / "scorefleet").mkdir()
    (machine.home / "scorefleet" / ".venv").symlink_to(sys.prefix)
    (machine.home / "passwd").write_text(ACCOUNTS.format(user=USER, home=machine.home))
    settled = machine.host.popen("bash", "-c", PRIVATE.format(home=machine.home))
    assert settled.wait() == 0


def _serve_ssh(machine: Machine) -> "subprocess.Popen[str]":
    """An sshd that takes keys alone, on the host's address alone."""
    _make_key(machine.home / "sshd" / "key")
    (machine.home / "sshd" / "config").write_text(SSHD.format(address=machine.host.address, home=machine.home))
    with (machine.home / "sshd" / "log").open("wb") as log:
        server = machine.popen(str(shutil.which("sshd")), "-D", "-e", "-f", f"{machine.home}/sshd/config", stderr=log)
    wait_until(lambda: "listening" in (machine.home / "sshd" / "log").read_text(), 30)
    return server


def _make_key(file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
