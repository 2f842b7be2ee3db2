"""A store survives kills between any two calls, racing writers and damaged files."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.manifest import Entry, SampleStore
from scorefleet.tasks.store.spool import Spool

WRITER = """
import dataclasses, json, os, sys, time
import numpy as np, pyarrow as pa
from scorefleet.tasks.store.manifest import SampleStore

def rows(block, segment, mark=0):
    return pa.table({"x": np.arange(20) + 100 * block + 10 * segment + 10**6 * mark, "mark": np.full(20, mark)})

def commit(store, block, segment, mark=0):
    state = {"x": np.arange(6.0).reshape(2, 3) + block + mark}
    return store.commit(block, segment, rows(block, segment, mark), state, {"accepted": [block, segment]})
"""

RACE = """
uri, mark, start = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
store = SampleStore(uri)
time.sleep(max(0, start - time.time()))
entries = [commit(store, block, segment, mark) for block in range(8) for segment in range(3)]
print(json.dumps([dataclasses.asdict(entry) for entry in entries]))
"""

KILLED = """
def fill(uri):
    store = SampleStore(uri)
    store.publish([store.committed(0, 0) or commit(store, 0, 0)], {"name": "killed"})

def die_before(number):
    calls = iter(range(10**6))
    for name in ("mkdir", "open", "fsync", "link", "unlink", "replace"):
        def counted(*given, call=getattr(os, name), **named):
            if next(calls) == number:
                os._exit(9)
            return call(*given, **named)
        setattr(os, name, counted)

def exit_code(work):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

for number in range(10**6):
    uri = f"{sys.argv[1]}/{number:03}"
    def work():
        die_before(number)
        fill(uri)
    killed = exit_code(work)
    assert exit_code(lambda: fill(uri)) == 0
    if not killed:
        break
"""


EXTENDED = """
def begin(uri):
    store = SampleStore(uri)
    store.publish([commit(store, 0, 0)], {"name": "killed", "extents": [[1, 1]]})

def look(uri):
    rows = SampleStore(uri, writable=False).dataset().to_table()["x"].to_pylist()
    assert rows in ([*range(20)], [*range(20), *range(10, 30)])
""" + KILLED.replace(
    """    store.publish([store.committed(0, 0) or commit(store, 0, 0)], {"name": "killed"})
""",
    """    entries = [store.committed(0, segment) or commit(store, 0, segment) for segment in range(2)]
    store.publish(entries, {"name": "killed", "extents": [[1, 1], [1, 2]]})
""",
).replace("    def work():\n", "    assert exit_code(lambda: begin(uri)) == 0\n    def work():\n").replace(
    "    killed = exit_code(work)\n", "    killed = exit_code(work)\n    assert exit_code(lambda: look(uri)) == 0\n"
)
"""A store that is published is extended; in between readers find the one or the other."""


def commit(store: SampleStore, block: int, segment: int, mark: int = 0) -> Entry:
    first = 100 * block + 10 * segment + 10**6 * mark
    table = pa.table({"x": np.arange(20) + first, "mark": np.full(20, mark)})
    return store.commit(block, segment, table, {"x": np.arange(6.0).reshape(2, 3)}, {"accepted": [block, segment]})


def published(folder: Path, order: list[int], **facts: str) -> SampleStore:
    store = SampleStore(str(folder))
    entries = Spool()
    for block in order:
        entries.add(dataclasses.replace(commit(store, block, 0), facts=facts))
    store.publish(entries, {"model": "abc"})
    return store


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER + code, *arguments], stdout=subprocess.PIPE, text=True)


def test_a_segment_is_committed_once_it_is_committed(tmp_path: Path):
    store = SampleStore(str(tmp_path))
    assert store.committed(3, 1) is None
    entry = commit(store, 3, 1)
    assert SampleStore(str(tmp_path)).committed(3, 1) == entry
    assert (entry.rows, entry.facts) == (20, {"accepted": [3, 1]})
    assert store.committed(3, 2) is None


def test_a_state_comes_back_bit_for_bit(tmp_path: Path):
    random = np.random.default_rng(0)
    state = {
        "x": np.asfortranarray(random.normal(size=(4, 3)).astype(np.float32)),
        "strided": np.arange(10)[::2],
        "step": np.asarray(7),
    }
    store = SampleStore(str(tmp_path))
    loaded = store.load_state(store.commit(0, 0, pa.table({"x": [1]}), state, {}))
    for name, value in state.items():
        assert loaded[name].dtype == value.dtype
        np.testing.assert_array_equal(loaded[name], value)
        assert loaded[name].shape == value.shape


def test_the_second_writer_of_a_segment_gets_the_entry_of_the_first(tmp_path: Path):
    store = SampleStore(str(tmp_path))
    first = commit(store, 0, 0, mark=1)
    assert commit(store, 0, 0, mark=2) == first
    np.testing.assert_array_equal(store.load_state(first)["x"], np.arange(6.0).reshape(2, 3))


def test_racing_writers_that_differ_agree_on_every_segment_and_its_state(tmp_path: Path):
    start = str(time.time() + 2)
    racers = [run(RACE, str(tmp_path), str(mark), start) for mark in (1, 2, 3)]
    answers = [json.loads(racer.communicate(timeout=60)[0]) for racer in racers]
    assert answers[0] == answers[1] == answers[2]
    store = SampleStore(str(tmp_path))
    entries = [Entry(**each) for each in answers[0]]
    store.publish(entries, {})
    rows = store.dataset().to_table().to_pydict()
    assert len(rows["x"]) == 24 * 20
    for index, entry in enumerate(entries):
        (mark,) = set(rows["mark"][20 * index : 20 * index + 20])
        assert store.load_state(entry)["x"][0, 0] == entry.block + mark


@pytest.mark.parametrize("code", [KILLED, EXTENDED], ids=["published", "extended"])
def test_a_writer_killed_between_any_two_calls_leaves_a_store_that_the_same_call_completes(tmp_path: Path, code: str):
    """One that is extended is before that what it was, whole."""
    script = run(code, str(tmp_path))
    script.communicate(timeout=60)
    assert script.returncode == 0
    stores = sorted(tmp_path.iterdir())
    assert len(stores) > 30
    undisturbed = SampleStore(str(stores[-1]), writable=False)
    for folder in stores:
        store = SampleStore(str(folder), writable=False)
        assert store.description() == undisturbed.description()
        assert list(store.load_state(store.entries()[0])) == ["x"]
        assert store.entries() == undisturbed.entries()
        assert store.dataset().to_table() == undisturbed.dataset().to_table()
        files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        assert {path.relative_to(folder): path.read_bytes() for path in files} == {
            path.relative_to(stores[-1]): path.read_bytes()
            for path in stores[-1].rglob("*")
            if path.is_file() and path.name != ".dataset.json.lock"
        }


def test_the_digest_does_not_depend_on_order_facts_or_place(tmp_path: Path):
    here = published(tmp_path / "here", [0, 1, 2], host="a")
    there = published(tmp_path / "there", [2, 0, 1], host="b")
    assert here.description()["digest"] == there.description()["digest"]
    assert here.dataset().to_table() == there.dataset().to_table()


def test_the_digest_sees_the_rows(tmp_path: Path):
    digests = [published(tmp_path / str(n), list(range(n))).description()["digest"] for n in (1, 2, 3)]
    assert len(set(digests)) == 3


def test_the_digest_sees_values_where_there_are_as_many_rows(tmp_path: Path):
    digests = []
    for mark in (0, 1):
        store = SampleStore(str(tmp_path / str(mark)))
        digests.append(store.publish([commit(store, 0, 0, mark)], {}))
    assert digests[0] != digests[1]


def test_a_published_store_describes_itself_and_lists_its_shards_in_order(tmp_path: Path):
    store = published(tmp_path, [1, 0])
    description = store.description()
    assert (description["model"], description["num_rows"], description["num_shards"]) == ("abc", 40, 2)
    assert [entry.block for entry in store.entries()] == [0, 1]
    assert store.dataset().to_table()["x"].to_pylist() == [*range(20), *range(100, 120)]


def test_publishing_again_changes_nothing_and_other_rows_are_refused(tmp_path: Path):
    store = published(tmp_path, [0])
    before = store.description()
    assert store.publish(store.entries(), {"model": "other"}) == before["digest"]
    assert store.description() == before
    with pytest.raises(StorageError, match="lists other shards"):
        store.publish([*store.entries(), commit(store, 5, 0)], {})


def test_a_store_takes_the_place_of_one_that_was_extended_to_it_and_of_no_other(tmp_path: Path):
    store = SampleStore(str(tmp_path))
    entries = [commit(store, 0, segment) for segment in range(3)]
    sizes = [[[1, 1]], [[1, 1], [1, 2]], [[1, 1], [1, 2], [1, 3]]]
    for number in (1, 0, 2, 1):
        last = max(number, 0 if not (tmp_path / "dataset.json").exists() else len(store.description()["extents"]) - 1)
        store.publish(entries[: number + 1], {"extents": sizes[number]})
        assert store.description()["extents"] == sizes[last]
        assert store.entries() == entries[: last + 1]
    store.publish(entries[:2], {"extents": [[1, 1], [1, 9], [1, 10], [1, 11]]})  # of another past
    assert store.entries() == entries


def test_an_unfinished_store_says_so(tmp_path: Path):
    store = SampleStore(str(tmp_path))
    commit(store, 0, 0)
    for read in (store.description, store.entries, store.dataset):
        with pytest.raises(StorageError, match="no finished samples"):
            read()


def test_a_store_that_does_not_exist_is_not_made_by_reading(tmp_path: Path):
    with pytest.raises(StorageError, match="does not exist"):
        SampleStore(str(tmp_path / "typo"), writable=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["states", "shards", "manifest.parquet", "commits", "dataset.json"])
def test_a_damaged_file_is_one_line_and_never_a_wrong_answer(tmp_path: Path, kind: str):
    store = published(tmp_path, [0])
    (entry,) = store.entries()
    path = next(path for path in tmp_path.rglob("*") if path.is_file() and kind in str(path.relative_to(tmp_path)))
    data = path.read_bytes()
    if kind == "states":  # a number, which no format of its own protects
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        path.write_bytes(data[: len(data) // 2] if path.suffix == ".json" else data[:40] + b"!" + data[41:])
    reads = {
        "states": lambda: store.load_state(entry),
        "shards": lambda: store.dataset().to_table(),
        "manifest.parquet": store.entries,
        "commits": lambda: store.committed(0, 0),
        "dataset.json": store.description,
    }
    with pytest.raises((StorageError, OSError)) as error:
        reads[kind]()
    assert len(str(error.value).splitlines()) == 1
