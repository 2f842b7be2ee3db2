"""A bucket is as good a place for a store as a folder: real Ceph, and a proxy before it that fails."""

import os
import threading
import time
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyarrow import fs
from torch.utils.data import DataLoader

from pipelines.cli import main
from tasks.errors import StorageError
from tasks.store import bucket, objects
from tasks.store.growing import new_entries, read_shard
from tasks.store.manifest import SampleStore
from tasks.torch_draws import Draws
from tests import tiny_stores

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


def copied(folder, place):
    """A store of a folder, in a bucket."""
    store = objects.open_store(place)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            objects.put_if_absent(store, str(path.relative_to(folder)), path.read_bytes())
    return store


def test_a_store_in_a_bucket_is_verified_repaired_replayed_and_audited(place, tiny_folders, capsys):
    store = copied(tiny_folders["target"] / "store", place)
    assert main(["verify", place]) == 0
    entries = SampleStore(place, writable=False).entries()
    objects.remove(store, entries[1].path)
    objects.put_over(store, entries[3].state_path, b"another")
    objects.put_if_absent(store, "shards/extra.parquet", b"x")
    assert main(["verify", place]) == 4
    assert main(["repair", place]) == 0
    assert main(["replay", place, "--block", "1", "--segment", "1"]) == 0
    assert main(["audit", place, "--num-shards", "2"]) == 0
    assert f"missing: {entries[1].path}" in capsys.readouterr().out


def test_readers_see_the_same_rows_in_a_bucket_as_in_a_folder(place, s3, tiny_folders):
    folder = tiny_folders["target"] / "store"
    copied(folder, place)
    table = SampleStore(str(folder), writable=False).dataset().to_table()
    assert SampleStore(place, writable=False).dataset().to_table() == table
    assert len(new_entries(place, [])) == tiny_stores.NUM_SEGMENTS
    shard = new_entries(place, [])[0]
    assert read_shard(place, shard) == (folder / shard.path).read_bytes()
    own = fs.S3FileSystem(endpoint_override=s3, region="us-east-1")
    assert ds.dataset(f"{place.removeprefix('s3://')}/shards", filesystem=own).count_rows() == len(table)
    assert sum(1 for _ in Draws(place, ["draw"])) == len(table)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # of Python 3.12
def test_workers_of_a_torch_loader_read_a_bucket_when_spawned_and_say_so_when_forked(place, tiny_folders):
    copied(tiny_folders["target"] / "store", place)
    draws = Draws(place, ["chain", "draw"])
    spawned = DataLoader(draws, batch_size=None, num_workers=2, multiprocessing_context="spawn")
    assert sum(1 for _ in spawned) == sum(entry.rows for entry in draws.entries)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of jax, where another test has loaded it
        forked = os.fork()
    if not forked:
        code = 1
        try:
            next(iter(draws))
        except StorageError as error:
            code = 0 if "start workers by spawn" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0
