"""Segments made again are those that were made, and where they are not it is said how."""

import json
import shutil
import sys

import numpy as np
import pyarrow as pa
import pytest

from scorefleet.pipelines.cli import main
from scorefleet.tasks.audit.audit import audit
from scorefleet.tasks.audit.differences import first_difference
from scorefleet.tasks.audit.replay import Source, open_source, replay
from scorefleet.tasks.config import commands
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.mcmc import native
from scorefleet.tasks.store import document
from tests.tiny_stores import NUM_SEGMENTS, model_store, target_store


def source_of(folders, kind):
    return open_source(str(folders[kind] / "store"), None)


@pytest.mark.parametrize("kind", ["model", "target"])
def test_every_segment_comes_out_the_same_byte_for_byte(tiny_folders, kind):
    source = source_of(tiny_folders, kind)
    replays = [replay(source, *place) for place in source.entries]
    assert len(replays) == NUM_SEGMENTS
    assert all(one.reasons == () and one.has_equal_bytes and one.changes == () for one in replays)


@pytest.mark.parametrize(
    ("fill", "changes"), [(model_store, {"exchange_rounds": 4}), (target_store, {"num_levels": 3})]
)
def test_chains_with_replicas_come_out_the_same(tmp_path, fill, changes):
    store = fill(tmp_path, **changes)
    source = open_source(store.uri, None)
    assert store.load_state(source.entries[0, 0])["x"].shape[0] > 1  # levels
    replays = [replay(source, *place) for place in source.entries]
    assert len(replays) == NUM_SEGMENTS
    assert all(one.reasons == () and one.has_equal_bytes and one.changes == () for one in replays)


def test_compositions_are_whole_or_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "def log_probabilities(x):\n    return x.log_softmax(1)\n"
    (tmp_path / "classes_that_change.py").write_text(text)
    words = {"classifier": "classes_that_change:log_probabilities", "label": 1, "fixed": {"c": 0.5}}
    composed = commands.Generate(model="models:/a/1", times=("models:/b/1",), **words)
    store, folder = model_store(tmp_path, composed), tmp_path / "model"
    source = open_source(store.uri, None)
    assert [replay(source, *place).reasons for place in ((0, 0), (2, 2))] == [(), ()]
    (tmp_path / "classes_that_change.py").write_text(text + "\n")
    with pytest.raises(UsageError, match="is not what drew the rows: module classes_that_change is"):
        open_source(store.uri, None)
    (folder / "part-1" / "weights.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match=r"the model in .*part-1 has another digest"):
        open_source(store.uri, None)
    (folder / "part-0" / "weights.safetensors").unlink()
    with pytest.raises(UsageError, match=r"there is no model in .*part-0"):
        open_source(store.uri, None)
    (folder / "model.json").write_text("{")
    with pytest.raises(UsageError, match="another model_digest"):
        open_source(store.uri, None)


def test_another_compiler_is_said(tiny_folders, monkeypatch):
    """Without one, steps are rounded otherwise."""
    monkeypatch.setattr(native, "compiled_by", lambda source: "g++ 1.2.3")
    source = source_of(tiny_folders, "model")
    (change,) = replay(source, 0, 0).changes
    assert change.startswith("compiler is g++ 1.2.3 and was ")


def test_rows_that_were_tampered_with_are_found_though_every_record_is_in_order(tiny_folders, monkeypatch):
    """The maker adds .001 to one number: replay and audit must both say where."""
    source = source_of(tiny_folders, "model")
    make = source.make

    def tampered(block, segment, before):
        made = make(block, segment, before)
        if (block, segment) != (1, 1):
            return made
        values = made.table["log_density"].to_numpy().copy()
        values[3] += 0.001
        index = made.table.column_names.index("log_density")
        return made._replace(table=made.table.set_column(index, "log_density", pa.array(values)))

    other = Source(source.uri, source.description, source.entries, tampered)
    (reason,) = replay(other, 1, 1).reasons
    assert reason.startswith("rows differ: first in row 3 column log_density[0]")
    assert reason.endswith("1 of 8 rows differ, by at most 0.001")
    assert replay(other, 1, 0).reasons == ()
    done = audit(other, NUM_SEGMENTS, 0)
    assert [one.entry.name for one in done.wrong] == ["block 1 segment 1"]
    assert str(done) == f"1 of {NUM_SEGMENTS} replayed shards differ"


def test_a_state_and_facts_that_differ_are_named(tiny_folders):
    source = source_of(tiny_folders, "target")

    def other(block, segment, before):
        made = source.make(block, segment, before)
        state = made.state | {"value": made.state["value"] + 1}
        return made._replace(state=state, facts=made.facts | {"accepted": -1})

    tampered = Source(source.uri, source.description, source.entries, other)
    assert replay(tampered, 0, 0).reasons == ("the chain state after the rows differs", "facts differ: accepted")


def test_an_audit_says_how_many_wrong_shards_can_have_escaped(tiny_folders):
    """With 5 of 9 replayed, 3 wrong ones would escape with probability C(6,5)/C(9,5) = 6/126 < .05, and 2 with 1/6."""
    done = audit(source_of(tiny_folders, "target"), 5, 0)
    said = "5 of 9 shards replayed, all the same: with 95% confidence fewer than 3 (33.33%) are wrong"
    assert str(done) == said
    assert {one.entry.name for one in done.replays} != {
        one.entry.name for one in audit(source_of(tiny_folders, "target"), 5, 1).replays
    }
    assert str(audit(source_of(tiny_folders, "target"), 99, 0)) == "all 9 shards replayed, all the same"


def test_another_model_is_refused_and_one_that_moved_is_found(tiny_folders, tiny_copy, tmp_path):
    folder = tiny_copy("model")
    moved = shutil.copytree(tiny_folders["model"] / "model", tmp_path / "moved")
    assert replay(open_source(str(folder), str(moved)), 0, 0).reasons == ()
    (moved / "schema.json").write_text((moved / "schema.json").read_text().replace("2.0", "2.5"))
    with pytest.raises(UsageError, match="another schema_digest"):
        open_source(str(folder), str(moved))
    (moved / "weights.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="another model_digest"):
        open_source(str(folder), str(moved))
    with pytest.raises(UsageError, match="--model FOLDER"):
        open_source(str(folder), str(tmp_path))


def test_a_density_whose_file_has_changed_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "def log_density(x):\n    return -0.5 * (x**2).sum(1)\n"
    (tmp_path / "a_density_that_changes.py").write_text(text)
    store = target_store(tmp_path, "a_density_that_changes:log_density")
    assert replay(open_source(store.uri, None), 2, 2).reasons == ()
    (tmp_path / "a_density_that_changes.py").write_text("raise RuntimeError\n" + text)
    monkeypatch.delitem(sys.modules, "a_density_that_changes")
    with pytest.raises(UsageError, match="is not what drew the rows: module a_density_that_changes is"):
        open_source(store.uri, None)


def test_other_versions_and_code_are_said(tiny_copy, capsys):
    folder = tiny_copy("target")
    described = json.loads((folder / "dataset.json").read_bytes())
    described.pop(document.SEAL)
    described["versions"] |= {"torch": "1.0.0", "pyarrow": "2.0.0"}
    described["code_digest"] = "0" * 64
    (folder / "dataset.json").write_bytes(document.seal(described))
    assert main(["replay", str(folder), "--block", "0"]) == 0
    said = capsys.readouterr().out
    assert "bytes not compared, as pyarrow is another" in said
    assert "torch is 2" in said
    assert "was 1.0.0" in said
    assert "code is " in said
    next((folder / "shards").iterdir()).unlink()
    assert main(["repair", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be made again here: torch is 2" in line


def test_what_is_no_block_or_says_no_maker_is_refused(tiny_folders, tiny_copy):
    with pytest.raises(UsageError, match="the last is block 2 segment 2"):
        replay(source_of(tiny_folders, "model"), 3, 0)
    folder = tiny_copy("model")
    described = json.loads((folder / "dataset.json").read_bytes())
    for key in (document.SEAL, "model_digest"):
        described.pop(key)
    (folder / "dataset.json").write_bytes(document.seal(described))
    with pytest.raises(StorageError, match="does not say what drew its rows"):
        open_source(str(folder), None)


def test_a_difference_in_one_bit_is_a_difference():
    table = pa.table({"k": [1, 2, 3], "x": pa.array([0.0, 1.0, np.nan])})
    assert first_difference(table, table) == "no row differs"
    minus = table.set_column(1, "x", pa.array([-0.0, 1.0, np.nan]))
    assert first_difference(table, minus).startswith("first in row 0 column x[0], -0.0 for 0.0; 1 of 3 rows differ")
    assert first_difference(table, table.slice(1)) == "2 rows, and there were 3"
    assert first_difference(table, table.select(["x"])).startswith("columns are x and were k, x")
