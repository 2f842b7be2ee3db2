"""A whole store is proven whole; each thing that is wrong with another is named."""

import dataclasses
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

from scorefleet.pipelines.cli import main
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.entry import Entry
from scorefleet.tasks.store.extents import Extent
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.shards import from_parquet, logical_digest
from scorefleet.tasks.store.verify import check_rows, check_shard, verify
from tests.tiny_stores import NUM_SEGMENTS

PROGRAM = {"block_size": 4, "num_draws": 4, "draws_per_segment": 2}


def rows(block, segment, **columns):
    chain = np.tile(np.arange(4 * block, 4 * block + 4), 2)
    draw = np.repeat(np.arange(2 * segment, 2 * segment + 2), 4)
    return {"chain": chain, "draw": draw, "x": chain + 0.5} | columns


def store_of(folder, tables, num_chains=8, change=lambda entry: entry, **description):
    """A store whose records are all in order, whatever its rows are."""
    store = SampleStore(str(folder))
    entries = [
        change(store.commit(block, segment, pa.table(table), {"x": np.zeros(2)}, {}))
        for (block, segment), table in tables.items()
    ]
    store.publish(entries, {"num_chains": num_chains, "program": PROGRAM} | description)
    return str(folder)


def bad_store(folder, tables):
    """A store of rows that have no logical digest, whose files are all as recorded."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("scorefleet.tasks.store.shards.logical_digest", lambda table: "0" * 64)
        return store_of(folder, tables, program={"block_size": 8, "num_draws": 1, "draws_per_segment": 1})


def whole():
    return {(block, segment): rows(block, segment) for block in range(2) for segment in range(2)}


def what(proof):
    return [(finding.kind, finding.what.partition("-")[0]) for finding in proof.findings]


@pytest.mark.parametrize("kind", ["model", "target"])
def test_a_store_as_it_was_written_is_whole(tiny_folders, kind):
    proof = verify(str(tiny_folders[kind] / "store"))
    assert proof.is_whole
    assert (proof.findings, proof.notes, len(proof.entries)) == ((), (), NUM_SEGMENTS)


def test_two_shards_are_enough_for_the_rows_of_any_number(tmp_path):
    assert verify(store_of(tmp_path, whole())).is_whole


def test_a_row_that_stands_twice_is_found_where_every_digest_is_right(tmp_path):
    tables = whole()
    tables[1, 0]["draw"][0] += 1
    proof = verify(store_of(tmp_path, tables))
    assert what(proof) == [("damaged", "shards/000001")]
    assert "1 of its chains and draws are missing, 1 are there more than once" in proof.findings[0].reason


def test_rows_of_another_segment_are_found(tmp_path):
    tables = whole() | {(1, 1): rows(0, 1)}
    (finding,) = verify(store_of(tmp_path, tables)).findings
    assert "8 of its chains and draws are missing" in finding.reason
    assert "8 rows belong to other segments" in finding.reason


def test_a_segment_that_is_not_there_and_one_that_should_not_be_are_named(tmp_path):
    tables = whole() | {(5, 0): rows(5, 0)}
    del tables[0, 1]
    proof = verify(store_of(tmp_path, tables))
    assert [str(finding).partition(": manifest")[0] for finding in proof.findings] == [
        "missing: block 0 segment 1",
        "wrong: block 5 segment 0: the program has no such segment",
    ]


def test_millions_of_missing_segments_are_counted_and_not_listed(tmp_path):
    proof = verify(store_of(tmp_path, whole(), num_chains=2**40))
    assert len(proof.findings) == 21
    assert proof.findings[-1].what == f"{2**39 - 4 - 20:,} more segments"


def test_an_entry_that_is_listed_twice_is_named(tmp_path):
    store = SampleStore(store_of(tmp_path / "one", whole()))
    entries = store.entries()
    twice = SampleStore(str(shutil.copytree(tmp_path / "one", tmp_path / "two")))
    for name in ("manifest.parquet", "dataset.json"):
        (tmp_path / "two" / name).unlink()
    twice.publish([*entries, entries[2]], {"num_chains": 8, "program": PROGRAM})
    proof = verify(twice.uri)
    assert [str(finding) for finding in proof.findings] == [
        "wrong: block 1 segment 0: manifest.parquet lists it 2 times"
    ]


def test_a_shard_of_other_columns_is_named(tmp_path):
    tables = whole() | {(1, 0): rows(1, 0, y=np.zeros(8))}
    assert what(verify(store_of(tmp_path, tables))) == [("wrong", "shards/000001")]


def test_a_shard_whose_logical_digest_is_not_the_recorded_one_is_damaged(tmp_path):
    """Which takes unpacking all of it: `replay` and `audit` do, and `verify` sees that the commit record is another."""
    uri = store_of(tmp_path, whole(), change=lambda entry: dataclasses.replace(entry, digest="0" * 64))
    proof = verify(uri)
    assert what(proof) == [(("damaged"), "commits/" + f"{block:06}") for block in (0, 0, 1, 1)]
    entry, layout = proof.entries[0], Layout.of(proof.description)
    data = (tmp_path / entry.path).read_bytes()
    with pytest.raises(StorageError, match="its rows do not have the recorded logical digest"):
        check_rows(data, entry, layout)
    digest = logical_digest(from_parquet(data))
    assert check_rows(data, dataclasses.replace(entry, digest=digest), layout).num_rows == 8


@pytest.mark.parametrize("chain", [[None, *range(1, 8)], [0.5] * 8, ["0"] * 8])
def test_chains_that_are_no_whole_numbers_are_damage(chain, tmp_path):
    tables = {(0, 0): {"chain": chain, "draw": np.zeros(8, int)}}
    (finding,) = verify(bad_store(tmp_path, tables)).findings
    assert ("nulls" if None in chain else "whole numbers") in finding.reason


def test_totals_that_are_not_those_of_the_manifest_are_wrong(tmp_path, monkeypatch):
    import scorefleet.tasks.store.manifest as manifest

    totals = manifest.totals
    monkeypatch.setattr(manifest, "totals", lambda entries: totals(entries) | {"num_rows": 31, "digest": "0" * 64})
    uri = store_of(tmp_path, whole())
    monkeypatch.undo()
    assert [finding.reason.partition(" ")[0] for finding in verify(uri).findings] == ["digest", "num_rows"]


def test_a_shard_that_nothing_lists_is_damage_and_other_litter_is_not(tiny_copy):
    folder = tiny_copy("model")
    shard, state = (next((folder / name).iterdir()) for name in ("shards", "states"))
    (folder / "shards" / shard.name.replace("-", "-9", 1)).write_bytes(shard.read_bytes())
    (folder / "states" / f"x{state.name}").write_bytes(b"lost a race")
    (folder / "shards" / ".0123.partial").write_bytes(b"killed")
    proof = verify(str(folder))
    assert [finding.kind for finding in proof.findings] == ["extra"]
    assert len(proof.notes) == 2


def test_a_shard_may_not_have_more_bytes_than_recorded():
    entry = Entry(0, 0, "", 8, 1, "", "", "", "", {})
    with pytest.raises(StorageError, match="1 are recorded"):
        check_shard(b"ab", entry, Layout(4, 2, (Extent(4, 2),)))


def test_the_command_says_what_it_found_and_how_it_ended(tiny_copy, tmp_path, capsys):
    folder = tiny_copy("model")
    assert main(["verify", str(folder), "--summary", str(tmp_path / "summary.json")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("whole: 50 rows in 9 shards, digest ")
    assert json.loads((tmp_path / "summary.json").read_text())["digest"] in said
    shard = next((folder / "shards").iterdir())
    shard.unlink()
    assert main(["verify", str(folder), "--summary", str(tmp_path / "summary.json")]) == 4
    assert capsys.readouterr().out.splitlines() == [
        f"missing: shards/{shard.name}: there is no such file",
        "not whole: 1 findings in 50 rows in 9 shards",
    ]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["is_whole"], summary["exit_code"], len(summary["findings"])) == (False, 4, 1)


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["verify"], 2, "required: STORE"),
        (["verify", "gs://bucket/path"], 2, "a folder, file:/// and s3:// can"),
        (["verify", "nowhere"], 4, "does not exist"),
        (["replay", ".", "--block", "-1"], 2, "at least 0"),
        (["audit", ".", "--num-shards", "0"], 2, "at least 1"),
        (["audit", ".", "--num-shard", "3"], 2, "required: --num-shards"),
    ],
)
def test_a_mistake_is_one_line(words, code, reason, capsys):
    assert main(words) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line
