"""Stores that someone made to do harm: each is refused in one line, and nothing of it is run, followed or unpacked."""

import dataclasses
import json
import os
import pickle
import stat
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorefleet.pipelines.cli import main
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import document
from scorefleet.tasks.store.entry import entry_of, parse, to_record
from scorefleet.tasks.store.locks import locked
from scorefleet.tasks.store.manifest import COLUMNS, SampleStore, from_safetensors, from_table, to_table
from scorefleet.tasks.store.shards import from_parquet, to_parquet
from scorefleet.tasks.store.verify import verify

DIGEST = "ab" * 32


def record(**changes):
    names = {"path": f"shards/000000-0000-{DIGEST[:12]}.parquet"}
    names["state_path"] = f"states/000000-0000-{DIGEST[:12]}.safetensors"
    digests = {"sha256": DIGEST, "digest": DIGEST, "state_sha256": DIGEST}
    return {"block": 0, "segment": 0, "rows": 1, "bytes": 1, "facts": {}} | names | digests | changes


def one_line(error):
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 400
    return str(error.value)


def test_the_record_is_right_until_it_is_changed():
    assert dataclasses.asdict(entry_of("x", record())) == record()


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "../../../../etc/passwd"},
        {"path": "/etc/passwd"},
        {"path": f"shards/../../shards/000000-0000-{DIGEST[:12]}.parquet"},
        {"state_path": "states/../../../root/.ssh/id_ed25519"},
        {"path": "s3://bucket/shard.parquet"},
        {"sha256": "../" * 20 + "abcd"},
        {"sha256": DIGEST.upper()},
        {"block": -1},
        {"rows": True},
        {"bytes": 1.5},
        {"facts": []},
        {"facts": None},
        {"path": "shards/000000-0000-" + DIGEST[:12] + ".parquet\x00.txt"},
        {"more": 1},
    ],
)
def test_a_record_that_points_elsewhere_or_is_none_is_refused(changes, tmp_path):
    with pytest.raises(StorageError) as error:
        entry_of("commits/000000-0000.json", record(**changes))
    one_line(error)
    (tmp_path / "commits").mkdir()
    (tmp_path / "commits" / "000000-0000.json").write_text(json.dumps(record(**changes)))
    with pytest.raises(StorageError):
        SampleStore(str(tmp_path), writable=False).committed(0, 0)


def test_a_manifest_whose_entries_point_elsewhere_is_refused_though_its_digests_are_right(tiny_copy):
    folder = tiny_copy("target")
    entries = SampleStore(str(folder), writable=False).entries()
    entries[3] = dataclasses.replace(entries[3], path="../../../../etc/passwd")
    described = json.loads((folder / "dataset.json").read_bytes())
    for name in ("manifest.parquet", "dataset.json"):
        (folder / name).unlink()
    described.pop(document.SEAL)
    SampleStore(str(folder)).publish(entries, described)
    with pytest.raises(StorageError, match="refused"):
        SampleStore(str(folder), writable=False).dataset()
    assert "manifest.parquet" in [finding.what for finding in verify(str(folder)).findings]


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[1, 2]",
        b"\xff\xfe{}",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"",
        b"\x80\x04\x95",
    ],
)
def test_json_that_no_store_of_ours_writes_is_refused(text, tiny_copy):
    with pytest.raises(StorageError) as error:
        parse("dataset.json", text)
    one_line(error)
    folder = tiny_copy("model")
    (folder / "dataset.json").write_bytes(text)
    (finding,) = verify(str(folder)).findings
    assert (finding.kind, finding.what) == ("damaged", "dataset.json")


@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "shards/x", "", "..", "dataset.json"])
def test_files_out_of_the_store_are_refused_though_the_seal_is_right(name, tiny_copy, capsys):
    folder = tiny_copy("target")
    described = json.loads((folder / "dataset.json").read_bytes())
    described.pop(document.SEAL)
    (folder / "dataset.json").write_bytes(document.seal(described | {"files": {name: DIGEST}}))
    assert main(["repair", str(folder)]) == 4
    assert "refused" in capsys.readouterr().err


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 10**8, 2**31])
def test_a_safetensors_header_of_huge_length_is_refused(length):
    with pytest.raises(StorageError) as error:
        from_safetensors("states/x", struct.pack("<Q", length) + b"{}")
    one_line(error)


@pytest.mark.parametrize(
    "header",
    [
        {"x": {"dtype": "F64", "shape": [2**40, 2**40], "data_offsets": [0, 8]}},
        {"x": {"dtype": "F64", "shape": [1], "data_offsets": [0, 2**60]}},
        {"x": {"dtype": "F64", "shape": [1], "data_offsets": [8, 0]}},
        {"x": {"dtype": "OBJECT", "shape": [1], "data_offsets": [0, 8]}},
    ],
)
def test_a_safetensors_header_that_lies_is_refused(header):
    text = json.dumps(header).encode()
    with pytest.raises(StorageError) as error:
        from_safetensors("states/x", struct.pack("<Q", len(text)) + text + bytes(8))
    one_line(error)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_pickled_extension_type_in_a_parquet_file_is_not_unpickled(tmp_path):
    """The payload of CVE-2023-47248."""
    touched, data = tmp_path / "touched", pickle.dumps(Payload(tmp_path / "touched"))
    metadata = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": data}
    table = pa.Table.from_arrays([pa.array([1])], schema=pa.schema([pa.field("x", pa.int64(), metadata=metadata)]))
    assert from_parquet(to_parquet(table))["x"].to_pylist() == [1]
    assert not touched.exists()
    pickle.loads(data)
    assert touched.exists(), "the payload is a real one"


@pytest.mark.parametrize("length", [0, 8, 2**20, 2**31 - 1, 2**32 - 1])
def test_a_parquet_footer_of_a_wrong_length_is_refused(length):
    data = to_parquet(pa.table({"x": np.arange(9)}))
    with pytest.raises(StorageError) as error:
        from_parquet(data[:-8] + struct.pack("<I", length) + b"PAR1")
    one_line(error)


def test_a_parquet_file_of_more_rows_than_recorded_is_not_unpacked(tmp_path):
    """Millions of equal rows in a few kilobytes."""
    path = tmp_path / "bomb.parquet"
    rows = pa.table({"x": pa.DictionaryArray.from_arrays(np.zeros(10**6, np.int32), [0.0])})
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for _ in range(3):
            writer.write_table(rows)
    assert path.stat().st_size < 20_000
    with pytest.raises(StorageError, match="3000000 rows where 9 are recorded"):
        from_parquet(path.read_bytes(), rows=9)


def test_a_manifest_of_other_columns_or_of_more_shards_is_refused():
    entries = [entry_of("x", record())]
    data = to_parquet(to_table(entries))
    assert from_table(from_parquet(data, COLUMNS, 1)) == entries
    for columns, rows in ((COLUMNS.remove(0), 1), (COLUMNS, 2)):
        with pytest.raises(StorageError):
            from_parquet(data, columns, rows)


def test_a_store_is_no_link_and_a_link_in_it_is_not_followed(tiny_copy, tmp_path):
    folder = tiny_copy("model")
    (tmp_path / "link").symlink_to(folder)
    assert verify(str(tmp_path / "link")).is_whole  # the user's own name for it
    for name in ("shards", "manifest.parquet"):
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
        assert "is a link" in str(verify(str(folder)).findings)
        (folder / name).unlink()
        (tmp_path / name).rename(folder / name)


def test_the_record_of_another_segment_is_refused(tmp_path):
    (tmp_path / "commits").mkdir()
    (tmp_path / "commits" / "000001-0000.json").write_bytes(to_record(entry_of("x", record())))
    with pytest.raises(StorageError, match="is the record of block 0 segment 0"):
        SampleStore(str(tmp_path), writable=False).committed(1, 0)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_neither_waited_for_nor_read(kind, tiny_copy):
    folder = tiny_copy("target")
    first = SampleStore(str(folder), writable=False).entries()[0]
    for name in ("dataset.json", "manifest.parquet", first.path, first.state_path, "commits/000000-0000.json"):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        if kind == "pipe":
            os.mkfifo(folder / name)
        elif kind == "device":
            os.mknod(folder / name, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
        else:
            (folder / name).mkdir()
        findings = verify(str(folder)).findings
        assert name in [finding.what for finding in findings]
        (folder / name).rmdir() if kind == "folder" else (folder / name).unlink()
        (folder / name).write_bytes(kept)


@pytest.mark.timeout(60)
def test_a_lock_that_is_a_pipe_or_a_link_is_not_waited_for_and_not_followed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match=r"No such device or address|Too many levels"), locked(tmp_path / name):
            pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_no_memory_holds_is_not_read(tiny_copy):
    folder = tiny_copy("target")
    os.truncate(folder / "manifest.parquet", 10**13)
    (finding, *_) = verify(str(folder)).findings
    assert "has 10,000,000,000,000 bytes, for which this machine has no memory" in finding.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"block_size": 2**30, "draws_per_segment": 2**20}, "is refused: its shards have"),
        ({"extents": [[1, n] for n in range(1, 3000)]}, "no store was extended 2,999 times"),
        ({"num_shards": 10**9}, "cannot list 1,000,000,000 shards"),
    ],
)
def test_counts_that_no_store_of_ours_has_are_refused_though_the_seal_is_right(changes, reason, tiny_copy):
    folder = tiny_copy("target")
    described = json.loads((folder / "dataset.json").read_bytes())
    described.pop(document.SEAL)
    described["program"] |= {key: value for key, value in changes.items() if key in described["program"]}
    described |= {key: value for key, value in changes.items() if key not in described["program"]}
    if "block_size" in changes:
        described["program"] |= {"num_chains": 2**30, "num_draws": 2**20}
        described |= {"num_chains": 2**30}
        described.pop("extents", None)
    (folder / "dataset.json").write_bytes(document.seal(described))
    assert reason in " ".join(map(str, verify(str(folder)).findings))
