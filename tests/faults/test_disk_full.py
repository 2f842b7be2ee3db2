"""A disk that fills up in the midst of a run: one line and exit code 4, and with more room the same command goes on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.test_lost_ray import commits, shards
from tests.integration import tiny

pytestmark = pytest.mark.timeout(900)

WORDS = ["--target", "tests.tiny_density:log_density", "--dim", "2", "--num-chains", "32", "--block-size", "16"]


class Disk:
    """A file system of its own, of so many megabytes."""

    def __init__(self, folder: Path, size: str):
        self.folder = folder
        self._mount(f"size={size}")

    def grow(self) -> None:
        self._mount("remount,size=64m")

    def _mount(self, option: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(self.folder)], check=True)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[tuple[Disk, Disk]]:
    """One that holds a few shards, and one that holds no report."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs root, to mount a small file system")
    folders = tmp_path / "store", tmp_path / "root"
    for folder in folders:
        folder.mkdir()
    try:
        yield Disk(folders[0], "3m"), Disk(folders[1], "3m")
    finally:
        for folder in folders:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def run(root: Path, *more: str) -> tuple[int, str]:
    words = [sys.executable, "-m", "scorefleet", "sample", *WORDS, "--num-draws", "8192", "--root", str(root), *more]
    done = tiny.finish(words)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def test_a_full_disk_is_a_line_and_with_more_room_the_same_command_ends_in_the_same_bytes(disks, tmp_path):
    store, root = disks
    words = root.folder, "--store", str(store.folder / "sample" / "any" / "draws")  # where `shards` and `commits` look
    code, line = run(*words)
    assert code == 4
    assert line.startswith(f"scorefleet: {store.folder}")
    assert line.endswith("cannot be used: No space left on device; free some space")
    kept = {path.stem: path.read_bytes() for path in commits(store.folder)}
    assert kept

    store.grow()
    code, line = run(*words)
    assert code == 4
    assert line.startswith(f"scorefleet: {root.folder}/report")
    assert line.endswith("cannot be used: No space left on device; free some space")
    assert {path.stem: path.read_bytes() for path in commits(store.folder)}.items() >= kept.items()

    root.grow()
    alone = ("--cluster.num_actors", "0")
    assert run(*words, *alone)[0] == 0
    assert run(tmp_path / "calm", *alone)[0] == 0
    assert shards(store.folder) == shards(tmp_path / "calm")
    assert not [path for path in tmp_path.rglob(".*.p*") if path.suffix in (".probe", ".partial")]
