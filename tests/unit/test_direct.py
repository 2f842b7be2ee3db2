"""Files are read whole and as they are, with the page cache and without, in memory that is lent again."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scorefleet.tasks.store.direct import BLOCK, Memory

SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 1_000_003]


def test_every_file_is_read_to_its_last_byte_though_memory_was_anothers(tmp_path):
    files = {tmp_path / str(size): os.urandom(size) for size in [*SIZES, *reversed(SIZES)]}
    for path, data in files.items():
        path.write_bytes(data)
    memory = Memory()

    def is_same(path: Path) -> bool:
        with memory.lent(path) as data:
            return bytes(data) == files[path]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(is_same, 20 * list(files)))


def test_a_file_system_that_cannot_is_read_through_the_cache(tmp_path, monkeypatch):
    path, data, asked = tmp_path / "file", os.urandom(5000), []
    path.write_bytes(data)
    plain = os.open

    def refuse(name: Path, how: int) -> int:
        asked.append(how)
        if how & os.O_DIRECT:
            raise OSError(22, "Invalid argument")
        return plain(name, how)

    monkeypatch.setattr(os, "open", refuse)
    with Memory().lent(path) as there:
        assert bytes(there) == data
    assert [bool(how & os.O_DIRECT) for how in asked] == [True, False]


def test_what_the_cache_has_and_the_disk_not_is_written_first(tmp_path):
    (tmp_path / "file").write_bytes(b"a" * BLOCK)
    with (tmp_path / "file").open("r+b") as file:
        file.write(b"b")
        file.flush()
        with Memory().lent(tmp_path / "file") as data:
            assert bytes(data) == b"b" + b"a" * (BLOCK - 1)


def test_the_reason_why_a_file_cannot_be_read_is_passed_on(tmp_path):
    with pytest.raises(FileNotFoundError), Memory().lent(tmp_path / "nothing"):
        pass
