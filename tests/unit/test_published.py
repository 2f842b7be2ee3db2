"""What a step has published is compared with what is there before it is used."""

import json
import os
import shutil
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from scorefleet.tasks.config import commands
from scorefleet.tasks.dag import published
from scorefleet.tasks.dag.dag import Pipeline, Step
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.store.manifest import SampleStore


@dataclass(frozen=True)
class Setting:
    value: int = 1


@dataclass(frozen=True)
class Made:
    uri: str
    draws_uri: str
    model_uri: str = "models:/x/1"


def make(setting, context):
    (context.folder / "weights.bin").write_bytes(bytes(range(200)))
    (context.folder / "scratch").mkdir()
    (context.folder / "scratch" / "state").write_text("of nobody's concern")
    (context.folder / "inner").mkdir()
    (context.folder / "inner" / "names.json").write_text("{}")
    store = SampleStore(context.draws)
    table = pa.table({"chain": np.arange(4), "draw": np.zeros(4, np.int32), "x": np.arange(4.0)})
    store.publish([store.commit(0, 0, table, {"x": np.zeros(2)}, {})], {"num_chains": 4})
    return Made(str(context.folder), context.draws)


def read(setting, context, made):
    return Made(made.uri, made.draws_uri)


def pipeline(root, place=None):
    steps = [
        Step("make", make, Setting(), Made, place=place, scratch="scratch"),
        Step("read", read, Setting(), Made, ("make",)),
    ]
    return Pipeline.of(steps, commands.Run(root=str(root)))


def execute(made, names=("make", "read")):
    artifacts = {}
    for name in names:
        artifacts[name] = made.execute(name, artifacts, Journal(made.root / "journal" / "x.jsonl")).artifact
    return artifacts


@pytest.fixture
def done(tmp_path):
    made = pipeline(tmp_path / "root")
    execute(made)
    return made


def flip(path, byte):
    data = bytearray(path.read_bytes())
    data[byte] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("file", ["weights.bin", "inner/names.json", "draws/shards/*", "draws/dataset.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
@pytest.mark.parametrize("is_next_done", [True, False])
def test_a_file_that_is_not_as_published_is_refused_with_the_remedy(done, file, damage, is_next_done):
    if not is_next_done:
        done.forget("read")
    path = next(done.folder("make").glob(file))
    if damage == "flipped":
        flip(path, path.stat().st_size // 2)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    with pytest.raises(StorageError, match=r"; rerun with --from make$") as refused:
        execute(pipeline(done.root))
    assert refused.value.exit_code == 4
    assert path.name in str(refused.value)
    assert done.is_done("read") == is_next_done


def test_a_flip_that_keeps_size_and_modification_time_is_seen(done):
    path = done.folder("make") / "weights.bin"
    times = path.stat()
    flip(path, 17)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(StorageError, match=r"weights\.bin is damaged"):
        done.require_intact("make")


def test_what_was_forgotten_after_damage_is_made_again(done):
    flip(done.folder("make") / "weights.bin", 0)
    done.forget("make")
    execute(done)
    done.require_intact("make")


def test_scratch_may_go(done):
    shutil.rmtree(done.folder("make") / "scratch")
    execute(done)


def test_a_manifest_that_is_cut_anywhere_or_has_a_flipped_bit_is_one_line(done):
    path = done.folder("make") / published.NAME
    whole = path.read_bytes()
    damaged = [whole[:size] for size in range(len(whole))]
    damaged += [whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :] for k in range(len(whole))]
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(StorageError, match=r"manifest\.json.*; rerun with --from make$") as refused:
            done.require_intact("make")
        assert "\n" not in str(refused.value)


def test_a_root_that_is_moved_is_read_where_it_is_now(done, tmp_path):
    place = tmp_path / "elsewhere"
    shutil.copytree(done.root, place)
    for path in done.root.rglob("weights.bin"):
        path.write_bytes(b"the old place is not read")
    moved = pipeline(place)
    artifacts = execute(moved)
    assert artifacts["make"] == artifacts["read"]
    assert artifacts["make"].uri == str(moved.folder("make"))
    assert artifacts["make"].draws_uri == str(moved.folder("make") / "draws")
    assert artifacts["make"].model_uri == "models:/x/1"


def test_a_store_outside_the_root_is_compared_too_and_repaired_where_it_is(tmp_path):
    made = pipeline(tmp_path / "root", place=str(tmp_path / "store"))
    artifacts = execute(made)
    assert artifacts["make"].draws_uri == str(tmp_path / "store")
    shard = next((tmp_path / "store" / "shards").iterdir())
    flip(shard, 30)
    with pytest.raises(StorageError, match=f"{shard.name} is damaged.*`scorefleet repair {tmp_path}/store`"):
        execute(made)


def test_a_step_made_from_another_result_than_is_there_now_is_refused(done):
    path = done.folder("make") / published.NAME
    document = published.read(done.folder("make"))
    path.unlink()
    changed = {key: value for key, value in document.items() if key != "document_sha256"}
    published.publish(done.folder("make"), changed | {"artifact": changed["artifact"] | {"model_uri": "models:/x/2"}})
    with pytest.raises(StorageError, match=r"another result of make.*--from read"):
        execute(done)


def test_a_manifest_from_before_seals_is_read(tmp_path):
    old = {"step": "make", "artifact": {"uri": str(tmp_path)}, "seconds": 1.5, "peak_bytes": 3}
    (tmp_path / published.NAME).write_text(json.dumps(old))
    assert published.read(tmp_path)["seconds"] == 1.5
