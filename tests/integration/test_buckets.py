"""A bucket is as good a place for a store as a folder: real Ceph, and a proxy before it that fails."""

import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import StorageError
from tasks.store import bucket, objects
from tasks.store.manifest import SampleStore

pytestmark = pytest.mark.timeout(300)


def test_only_the_first_put_of_a_path_is_kept(place):
    store = objects.open_store(place)
    assert objects.put_if_absent(store, "a/b.bin", b"first")
    assert not objects.put_if_absent(store, "a/b.bin", b"second")
    assert objects.read(store, "a/b.bin") == b"first"
    assert objects.names(store) == {"a/b.bin"}


def test_of_racing_writers_exactly_one_wins_each_path(place):
    store, wins = objects.open_store(place), []

    def race(mark):
        wins.extend((k, mark) for k in range(20) if objects.put_if_absent(store, f"a/{k}", bytes([mark]) * 3000))

    racers = [threading.Thread(target=race, args=(mark,)) for mark in range(6)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(k for k, _ in wins) == list(range(20))
    assert all(objects.read(store, f"a/{k}") == bytes([mark]) * 3000 for k, mark in wins)


def test_a_bucket_that_is_not_there_and_a_secret_that_is_wrong_are_one_line(place, monkeypatch):
    with pytest.raises(StorageError, match=r"^s3://nowhere/x cannot be used: there is no such bucket; [^\n]*$"):
        objects.open_store("s3://nowhere/x")
    with pytest.raises(StorageError, match=r"^s3://draws/nothing does not exist: [^\n]*$"):
        objects.open_store("s3://draws/nothing", writable=False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(StorageError, match=r"cannot be used: SignatureDoesNotMatch; check [^\n]*$"):
        objects.open_store(f"{place}/wrong")


@pytest.mark.parametrize("fault", ["500", "503", "slow", "cut", "cut_after"])
def test_a_store_is_filled_through_a_server_that_fails_every_third_request(place, proxy, fault, monkeypatch):
    monkeypatch.setattr(bucket, "REQUEST_S", 0.3 if fault == "slow" else 60)  # so that slow is too slow
    proxy.choose = lambda method, path: fault if len(proxy.seen) % 3 == 2 else "none"
    store = SampleStore(place)
    for block in range(3):
        store.commit(block, 0, pa.table({"x": np.arange(9) + block}), {"x": np.zeros(2)}, {})
    entries = [store.committed(block, 0) for block in range(3)]
    store.publish(entries, {})
    assert store.dataset().to_table()["x"].to_pylist() == [x + block for block in range(3) for x in range(9)]
    assert len(proxy.faults) >= 5


def test_a_server_that_stays_away_is_one_line_after_a_bounded_time(place, proxy):
    store = objects.open_store(place)
    proxy.choose = lambda method, path: "503"
    begun = time.monotonic()
    with pytest.raises(StorageError, match=r"503 Service Unavailable; when the server answers again, the same command"):
        objects.put_if_absent(store, "a", b"1")
    assert time.monotonic() - begun < 10
    assert len(proxy.faults) == 5


def test_a_server_that_passes_over_conditions_is_refused(place, proxy, monkeypatch):
    """It would let the second of two writers overwrite the first."""
    monkeypatch.setattr(bucket, "_is_refused", lambda store, path, mode: False)
    with pytest.raises(StorageError, match="takes no notice of If-None-Match"):
        objects.open_store(place)
