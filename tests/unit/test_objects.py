"""Writes are whole, once, on disk, and refused in one line."""

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from obstore.store import MemoryStore, ObjectStore

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.objects import exists, open_store, put_if_absent, put_instead, read, replace

RACER = """
import json, sys, time
from scorefleet.tasks.store.objects import open_store, put_if_absent
folder, mark, start = sys.argv[1:]
store = open_store(folder)
time.sleep(max(0, float(start) - time.time()))
print(json.dumps([put_if_absent(store, f"a/{i}", mark.encode() * 3000) for i in range(60)]))
"""

TIGHT_DISK = """
import sys
import time
from pathlib import Path
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.objects import open_store, put_if_absent
folder = sys.argv[1]
store = open_store(folder)
try:
    put_if_absent(store, "big", bytes(10**6))
except StorageError as error:
    print(error)
print(sorted(path.name for path in Path(folder).iterdir()))
"""

READ_ONLY = """
import sys
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.objects import open_store, read
try:
    open_store(sys.argv[1])
except StorageError as error:
    print(error)
print(read(open_store(sys.argv[1], writable=False), "kept"))
"""


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path / "new" / "store")) if request.param == "folder" else MemoryStore()


def test_only_the_first_put_of_a_path_is_kept(store: ObjectStore):
    assert put_if_absent(store, "a/b.bin", b"first")
    assert not put_if_absent(store, "a/b.bin", b"second")
    assert read(store, "a/b.bin") == b"first"


def test_a_file_takes_the_place_of_an_older_one_alone(store: ObjectStore):
    for number in (3, 1, 7, 7, 5):
        put_instead(store, "n", str(number).encode(), lambda there, number=number: int(there) < number)
    assert read(store, "n") == b"7"


def test_of_racing_writers_the_newest_stays(store: ObjectStore):
    """Each writes a larger number than the one that it read, or nothing; the largest is never replaced."""
    numbers = np.random.default_rng(0).permutation(60).tolist()

    def race(mine: list[int]) -> None:
        for number in mine:
            put_instead(store, "n", str(number).encode(), lambda there: int(there) < number)  # noqa: B023
            assert int(read(store, "n")) >= number

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(race, [numbers[k::6] for k in range(6)]))
    assert read(store, "n") == b"59"


def test_exists_only_after_a_put(store: ObjectStore):
    assert not exists(store, "a/b.bin")
    put_if_absent(store, "a/b.bin", b"")
    assert exists(store, "a/b.bin")


def test_reading_what_is_not_there_is_one_line(store: ObjectStore):
    with pytest.raises(StorageError, match=r"^nowhere does not exist[^\n]*$"):
        read(store, "nowhere")


def test_data_are_on_disk_before_they_have_a_name_and_the_name_before_the_put_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[str] = []
    fsync, link = os.fsync, os.link

    def seen_fsync(descriptor: int) -> None:
        calls.append("fsync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def seen_link(source: Path, target: Path) -> None:
        calls.append(f"link {source.name} {target.name}")
        link(source, target)

    store = open_store(str(tmp_path / "root"))
    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "link", seen_link)
    put_if_absent(store, "a/b", b"data")
    temporary = calls[0].removeprefix("fsync ")
    assert calls == [f"fsync {temporary}", f"link {temporary} b", "fsync a", "fsync root"]


def test_of_racing_processes_exactly_one_wins_each_path(tmp_path: Path):
    start = str(time.time() + 1.5)
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path), mark, start], stdout=subprocess.PIPE, text=True)
        for mark in "xyz"
    ]
    wins = [json.loads(racer.communicate(timeout=30)[0]) for racer in racers]
    assert [sum(each) for each in zip(*wins, strict=True)] == [1] * 60
    for index, each in enumerate(zip(*wins, strict=True)):
        assert (tmp_path / "a" / str(index)).read_text() == "xyz"[each.index(True)] * 3000
    assert len(list((tmp_path / "a").iterdir())) == 60


def test_file_uri_names_a_folder(tmp_path: Path):
    put_if_absent(open_store(f"file://{tmp_path}/x"), "a", b"1")
    assert (tmp_path / "x" / "a").read_bytes() == b"1"


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    for uri in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(StorageError, match=r"^folder .*taken.* cannot be used: [^\n]*$"):
            open_store(str(uri))


def test_nothing_outside_of_a_folder_is_read_through_its_store(tmp_path: Path):
    (tmp_path / "secret").write_bytes(b"other people's")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "shards").symlink_to(tmp_path)
    store = open_store(str(tmp_path / "store"))
    for path, reason in (("../secret", "is not below"), ("shards/secret", "is a link"), ("shards/../secret", "below")):
        with pytest.raises(StorageError, match=reason):
            read(store, path)


def test_reading_makes_no_folder(tmp_path: Path):
    with pytest.raises(StorageError, match="does not exist"):
        open_store(str(tmp_path / "typo"), writable=False)
    assert not (tmp_path / "typo").exists()


def test_replace_overwrites_and_leaves_nothing_else(tmp_path: Path):
    replace(tmp_path, "a", b"long old data")
    replace(tmp_path, "a", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"new")]


def in_a_mount(tmp_path: Path, setup: str, code: str) -> list[str]:
    """Run code in a mount namespace of its own, so that a disk can be full or read-only even for root."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("needs unprivileged mount namespaces")
    script = f'mount -t tmpfs -o size=200k none "$0" && {setup} && exec "$1" -c "$2" "$0"'
    command = ["unshare", "-rm", "sh", "-c", script, str(tmp_path), sys.executable, code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path):
    message, left = in_a_mount(tmp_path, "true", TIGHT_DISK)
    assert "No space left on device; free some space" in message
    assert left == "[]"


def test_a_read_only_folder_is_refused_for_writing_but_can_be_read(tmp_path: Path):
    message, kept = in_a_mount(tmp_path, 'echo 1 > "$0/kept" && mount -o remount,ro "$0"', READ_ONLY)
    assert "Read-only file system" in message
    assert kept == repr(b"1\n")
