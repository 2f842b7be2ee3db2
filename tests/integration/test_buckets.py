"""A bucket is as good a place for a store as a folder: real Ceph, and a proxy before it that fails."""

import itertools
import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyarrow import fs
from torch.utils.data import DataLoader

from scorefleet.pipelines.cli import main
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import bucket, objects
from scorefleet.tasks.store.extents import Extent, extension_files
from scorefleet.tasks.store.growing import new_entries, read_shard
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.torch_draws import Draws
from scorefleet.tasks.store.verify import verify
from tests import tiny_stores
from tests.unit.test_verify import rows

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


def test_of_racing_writers_the_newest_stays(place):
    """Each replaces what is older than its own; a server compares the ETag of what was looked at."""
    store, numbers = objects.open_store(place), np.random.default_rng(0).permutation(60).tolist()

    def race(mine):
        for number in mine:
            objects.put_instead(store, "n", str(number).encode(), lambda there: int(there) < number)  # noqa: B023
            assert int(objects.read(store, "n")) >= number

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(race, [numbers[k::6] for k in range(6)]))
    assert objects.read(store, "n") == b"59"


def test_a_file_is_replaced_once_by_a_put_whose_answer_is_lost(place, proxy):
    store = objects.open_store(place)
    objects.put_if_absent(store, "n", b"1")
    num_puts = itertools.count(1)  # the first is refused, as something is there
    proxy.choose = lambda method, path: "cut_after" if method == "PUT" and next(num_puts) == 2 else "none"
    objects.put_instead(store, "n", b"2", lambda there: there == b"1")
    assert objects.read(store, "n") == b"2"
    assert len(proxy.faults) == 1


def test_a_store_is_extended_in_a_bucket_and_is_whole_all_the_while(place):
    store, sizes, entries = SampleStore(place), [[4, 2], [8, 4]], {}

    def commit(*where):
        entries[where] = store.commit(*where, pa.table(rows(*where)), {"x": np.zeros(2)}, {})

    def publish(number):
        num_chains, num_draws = sizes[number]
        program = {"block_size": 4, "draws_per_segment": 2, "num_draws": num_draws}
        described = {"num_chains": num_chains, "program": program, "extents": sizes[: number + 1]}
        listed = [entry for where, entry in sorted(entries.items()) if number or where == (0, 0)]
        store.publish(listed, described)

    commit(0, 0)
    publish(0)
    for path, data in extension_files([Extent(*size) for size in sizes]).items():
        objects.put_if_absent(objects.open_store(place), path, data)
    commit(0, 1)
    proof = verify(place)
    assert (proof.is_whole, proof.description["num_rows"]) == (True, 8)
    assert proof.notes == ("8 rows in 1 more shards are committed: an extension to 8 chains of 4 draws has not ended",)
    commit(1, 0)
    commit(1, 1)
    for number in (1, 0):  # the second by a command of before that comes late
        publish(number)
        proof = verify(place)
        assert (proof.is_whole, proof.description["num_rows"]) == (True, 32)


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
