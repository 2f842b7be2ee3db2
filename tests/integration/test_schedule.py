"""Debian's cron, the real one, on a crontab of its own: what it fires runs once, and other lines stay."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import wait_until
from tests.integration.ray_head import REPOSITORY
from tests.integration.tiny import clean_environment

pytestmark = pytest.mark.timeout(300)

OWN_SPOOL = (
    "mount -t tmpfs tmpfs /var/spool/cron/crontabs && chgrp crontab /var/spool/cron/crontabs && "
    "chmod 1730 /var/spool/cron/crontabs && mount -t tmpfs tmpfs /run && echo ready && exec cron -f"
)
OTHERS = 'MAILTO=""\n# mine\n0 0 1 1 * true # not scorefleet\n'

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def in_host() -> Iterator[Run]:
    """Runs words where cron runs and sees a spool and a /run of its own, which nobody else does."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("cron", "crontab", "unshare", "nsenter"))):
        pytest.skip("cron in a namespace of its own needs root: apt-get install cron util-linux")
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", OWN_SPOOL]
    host = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert host.stdout is not None
    assert host.stderr is not None
    try:
        if host.stdout.readline() != "ready\n":
            pytest.skip(f"this machine lets nobody make a namespace: {host.stderr.read().strip()}")
        enter = ["nsenter", f"--mount=/proc/{host.pid}/ns/mnt"]

        def run(*words: str, folder: Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
            command = [*enter, f"--wd={folder}", *words]
            environment = clean_environment() | {"PYTHONPATH": str(REPOSITORY), "XDG_DATA_HOME": str(folder / "kept")}
            return subprocess.run(command, input=given, capture_output=True, text=True, env=environment, check=False)

        yield run
    finally:
        os.killpg(host.pid, signal.SIGTERM)
        host.communicate()


def test_cron_runs_each_tick_once_however_often_it_fires_and_other_lines_stay(in_host, tmp_path):
    def crontab() -> str:
        return in_host("crontab", "-l", folder=tmp_path).stdout

    def schedule(*words: str) -> str:
        done = in_host(sys.executable, "-m", "scorefleet", "schedule", *words, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    in_host("crontab", "-", folder=tmp_path, given=OTHERS)
    command = ("run", "--data", "sklearn:wine", "--dry-run")
    assert "often: run --prepare.data sklearn:wine --dry-run, next at" in schedule(
        "add", "often", "--cron", "* * * * *", *command
    )
    schedule("add", "rarely", "--cron", "0 0 1 1 *", "--missed", "skip", *command)
    assert crontab().startswith(OTHERS)
    ours = next(line for line in crontab().splitlines() if line.startswith("* * * * *"))
    again = "".join(f"{ours.replace(' # scorefleet often', '')}\n" for _ in range(3))
    in_host("crontab", "-", folder=tmp_path, given=again + crontab())

    wait_until(lambda: "exit code 0" in schedule("history", "often"), 120)
    first = schedule("history", "often").splitlines()[0].split()
    log = Path(first[-1])
    assert log.read_text().count("would run") == 7, log.read_text()
    names = [line.split()[0] for line in schedule("history", "often").splitlines()]
    assert len(set(names)) == len(names)
    assert schedule("history", "rarely") == ""
    assert [line.split()[0] for line in schedule("list").splitlines()] == ["often", "rarely"]

    assert "removed " in schedule("remove", "often")
    schedule("remove", "rarely")
    assert crontab() == again + OTHERS
    assert "exit code 0" in schedule("history", "often")
    refused = in_host(sys.executable, "-m", "scorefleet", "schedule", "remove", "often", folder=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    in_host("crontab", "-r", folder=tmp_path)
