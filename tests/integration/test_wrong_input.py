"""What a user gets wrong is one line that says so, the right exit code, and nothing half-written."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main

GOOD = np.random.default_rng(0).normal(size=(200, 2))


def table(**columns):
    return pa.table({"a": GOOD[:, 0], "b": GOOD[:, 1]} | columns)


def with_nan():
    values = GOOD[:, 0].copy()
    values[7:10] = np.nan
    return table(a=values)


@pytest.fixture
def refused(tmp_path, capsys):
    """Run a command that must fail, and give its only line."""

    def run(*words, code):
        assert main([*words, "--root", str(tmp_path / "root")]) == code
        out, err = capsys.readouterr()
        assert out == ""
        lines = [line for line in err.splitlines() if not line.startswith("prepare ")]
        assert len(lines) == 1, err
        assert lines[0].startswith("scorefleet: ")
        assert not list((tmp_path / "root").rglob("manifest.json"))
        return lines[0]

    return run


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (with_nan(), ["'a'", "3"]),
        (table(a=np.full(200, 4.2)), ["'a'", "constant"]),
        (table(a=["x"] * 200), ["'a'", "string", "mixed"]),
        (table(chain=GOOD[:, 0]), ["'chain'"]),
        (table().slice(0, 1), ["1 row"]),
        (table(a=pa.array([None, *GOOD[1:, 0]])), ["'a'"]),
    ],
    ids=["NaN", "constant", "text", "reserved name", "one row", "null"],
)
def test_a_table_that_cannot_be_modelled_is_refused(refused, tmp_path, made, words):
    pq.write_table(made, tmp_path / "table.parquet")
    line = refused("run", "--data", str(tmp_path / "table.parquet"), code=3)
    for word in words:
        assert word in line


def test_files_that_cannot_be_read_are_refused(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty" in refused("run", "--data", str(tmp_path / "empty"), code=3)
    assert "missing.csv" in refused("run", "--data", str(tmp_path / "missing.csv"), code=3)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    assert "broken.parquet" in refused("run", "--data", str(tmp_path / "broken.parquet"), code=3)
    (tmp_path / "void.csv").write_bytes(b"")
    assert "void.csv" in refused("run", "--data", str(tmp_path / "void.csv"), code=3)
    (tmp_path / "notes.txt").write_text("a,b")
    assert ".parquet" in refused("run", "--data", str(tmp_path / "notes.txt"), code=3)


def test_a_folder_with_files_that_disagree_is_refused(refused, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(table(), folder / "1.parquet")
    pa.csv.write_csv(table(c=GOOD[:, 0]), folder / "2.csv")
    assert "'c'" in refused("run", "--data", str(folder), code=3)


def test_a_root_that_cannot_be_written_is_refused_before_anything_runs(tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert main(["run", "--data", "sklearn:wine", "--root", str(tmp_path / "file" / "root")]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_usage_that_cannot_be_is_refused(refused):
    assert "did you mean 'train.width'" in refused("run", "--data", "sklearn:wine", "--train.widht", "3", code=2)
    assert "sklearn:digits" in refused("run", "--data", "sklearn:irises", code=2)
    assert "prepare" in refused("run", "--data", "sklearn:wine", "--from", "paint", code=2)
    assert "--data" in refused("run", code=2)
    assert "models:/NAME@ALIAS" in refused("generate", "--model", "digits", code=2)


def test_a_model_that_is_not_registered_is_refused_with_those_that_are(refused):
    assert "there are none" in refused("generate", "--model", "models:/digits@champion", code=2)


def test_a_dead_mlflow_server_is_a_service_that_fails(refused):
    dead = ("--register.tracking_uri", "http://127.0.0.1:9")
    assert "127.0.0.1:9" in refused("generate", "--model", "models:/digits@champion", *dead, code=5)


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    assert main(["run", "--data", "sklearn:wine", "--root", str(tmp_path / "root"), "--dry-run"]) == 0
    assert capsys.readouterr().out.count("would run") == 7
    assert not (tmp_path / "root").exists()
