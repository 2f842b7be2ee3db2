import json
import math
import os
import threading
from pathlib import Path

import pytest

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.records.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "0123abcd.jsonl"


def test_making_a_journal_writes_nothing(path: Path) -> None:
    assert Journal(path).run_key == "0123abcd"
    assert not path.parent.exists()


def test_entries_come_back_in_order(path: Path) -> None:
    journal = Journal(path)
    journal.params({"a": 1})
    journal.metrics({"loss": 0.5}, 3)
    journal.tags({"b": "x"})
    journal.artifact(path, "report")
    journal.status("FINISHED")
    entries, end = journal.read(0)
    assert [entry["kind"] for entry in entries] == ["params", "metrics", "tags", "artifact", "status"]
    assert entries[1] == {"kind": "metrics", "values": {"loss": 0.5}, "step": 3, "time": entries[1]["time"]}
    assert end == path.stat().st_size


def test_reading_goes_on_from_any_entry(path: Path) -> None:
    journal = Journal(path)
    for step in range(5):
        journal.metrics({"loss": step}, step)
    head, middle = journal.read(0, 2)
    tail, _ = journal.read(middle)
    assert [entry["step"] for entry in head + tail] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("num_lost", [1, 2, 10])
def test_a_torn_last_line_is_not_read_and_is_cut_by_the_next_entry(path: Path, num_lost: int) -> None:
    journal = Journal(path)
    journal.metrics({"loss": 1.0}, 1)
    journal.metrics({"loss": 2.0}, 2)
    os.truncate(path, path.stat().st_size - num_lost)
    again = Journal(path)
    assert [entry["step"] for entry in again.read(0)[0]] == [1]
    again.metrics({"loss": 3.0}, 3)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 3]


def test_a_line_of_zeros_after_a_crash_is_skipped(path: Path) -> None:
    journal = Journal(path)
    journal.metrics({"loss": 1.0}, 1)
    path.write_bytes(path.read_bytes() + b"\0" * 40 + b"\n")
    Journal(path).metrics({"loss": 2.0}, 2)
    assert [entry["step"] for entry in journal.read(0)[0]] == [1, 2]


def test_what_is_known_already_is_not_written_again(path: Path) -> None:
    for _ in range(2):
        journal = Journal(path)
        journal.params({"a": 1, "b": 2})
        journal.tags({"c": "x"})
        journal.status("FINISHED")
    assert len(Journal(path).read(0)[0]) == 3


def test_a_parameter_keeps_its_first_value_and_a_tag_takes_its_last(path: Path) -> None:
    for value in ("first", "last"):
        journal = Journal(path)
        journal.params({"a": value})
        journal.tags({"b": value})
    values = [(entry["kind"], entry["values"]) for entry in journal.read(0)[0]]
    assert values == [("params", {"a": "first"}), ("tags", {"b": "first"}), ("tags", {"b": "last"})]


def test_no_secret_reaches_the_disk(path: Path) -> None:
    journal = Journal(path)
    journal.params({"api_token": "canary-1", "uri": "mysql://me:canary-2@host/db"})
    journal.tags({"command": "curl -H 'Authorization: Bearer canary-3'"})
    assert "canary" not in path.read_text()


def test_non_finite_metrics_are_kept_as_valid_json(path: Path) -> None:
    journal = Journal(path)
    journal.metrics({"a": math.nan, "b": -math.inf}, 0)
    line = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"bare {name}"))
    assert math.isnan(float(line["values"]["a"]))
    assert float(line["values"]["b"]) == -math.inf


@pytest.mark.parametrize(
    ("name", "taken"),
    [("mean/größe [cm]", "mean/größe _cm_"), ("../a//b/", "a/b"), ("", "_"), ("x" * 300, "x" * 250)],
)
def test_names_become_ones_that_mlflow_takes(path: Path, name: str, taken: str) -> None:
    journal = Journal(path)
    journal.metrics({name: 1.0}, 0)
    assert list(journal.read(0)[0][0]["values"]) == [taken]


def test_threads_do_not_mix_their_lines(path: Path) -> None:
    journal = Journal(path)
    threads = [
        threading.Thread(target=lambda k=k: [journal.metrics({f"m{k}": i}, i) for i in range(200)]) for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    points = [(*entry["values"], entry["step"]) for entry in journal.read(0)[0]]
    assert sorted(points) == sorted((f"m{k}", i) for k in range(4) for i in range(200))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_a_storage_error_of_one_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "full.jsonl")
    journal.metrics({"loss": 1.0}, 1)
    assert journal._descriptor is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._descriptor)
    os.close(full)
    with pytest.raises(StorageError, match=r"full\.jsonl cannot be written: No space left"):
        journal.metrics({"loss": 2.0}, 2)
    journal.metrics({"loss": 3.0}, 3)
    assert [entry["step"] for entry in journal.read(0)[0]] == [1, 3]


def test_a_journal_that_cannot_be_begun_is_a_storage_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"a\.jsonl cannot be written: (Not a directory|File exists)$"):
        Journal(tmp_path / "file" / "a.jsonl").tags({"a": "b"})
