"""What a user gets wrong is one line that says so, the right exit code, and nothing half-written."""

import json
import shutil
import socket
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from scorefleet.pipelines.cli import main
from tests.integration import tiny

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


def test_a_model_that_is_not_registered_is_refused_with_those_that_are(refused, tmp_path, empty_database):
    (tmp_path / "root").mkdir()
    shutil.copyfile(empty_database, tmp_path / "root" / "mlflow.db")
    assert "there are none" in refused("generate", "--model", "models:/digits@champion", code=2)


def test_a_dead_mlflow_server_is_a_service_that_fails(refused):
    dead = ("--register.tracking_uri", "http://127.0.0.1:9")
    assert "127.0.0.1:9" in refused("generate", "--model", "models:/digits@champion", *dead, code=5)


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    assert main(["run", "--data", "sklearn:wine", "--root", str(tmp_path / "root"), "--dry-run"]) == 0
    assert capsys.readouterr().out.count("would run") == 7
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    "words", [["generate", "--model", "models:/x@champion"], ["generate", "--model", "models:/x/1"], ["rollback", "x"]]
)
def test_a_model_is_looked_for_where_none_was_registered(refused, tmp_path, words):
    assert "there is no registered model 'x', nor any other at sqlite:" in refused(*words, code=2)
    assert not (tmp_path / "root").exists()


def test_a_dry_run_of_the_first_night_writes_nothing(tmp_path, capsys):
    words = ["retrain", "--data", "sklearn:wine", "--root", str(tmp_path / "root"), "--dry-run"]
    assert main(words) == 0
    assert capsys.readouterr().out.count("would run") == 7
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", "127.0.0.1:99999", "ray://127.0.0.1:10001", "a b:1", ""])
def test_an_address_that_cannot_be_one_of_a_cluster_is_refused(refused, address):
    words = ("sample", "--target", "tests.tiny_density:log_density", "--dim", "2", "--cluster.address", address)
    assert "cluster.address must be HOST:PORT, such as 10.0.0.10:6379, or auto" in refused(*words, code=2)


@pytest.mark.parametrize("is_listening", [False, True], ids=["nobody listens", "nobody answers"])
def test_a_cluster_that_is_not_there_is_one_line_within_a_bounded_time(tmp_path, is_listening):
    """Ray asks what accepts connections and does not answer twenty times, if it is let."""
    words = ["sample", "--target", "tests.tiny_density:log_density", "--dim", "2", "--root", str(tmp_path)]
    timeouts = {"RAY_gcs_rpc_server_connect_timeout_s": "3", "RAY_py_gcs_connect_timeout_s": "3"}  # a tenth of Ray's
    environment = tiny.clean_environment() | {"RAY_AUTH_TOKEN": "0" * 64} | timeouts
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        if not is_listening:
            listener.close()
        begun = time.monotonic()
        command = [sys.executable, "-m", "scorefleet", *words, "--cluster.address", address]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert time.monotonic() - begun < 60
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"scorefleet: no Ray cluster answers at '{address}': start it, ")


def test_a_store_that_another_key_has_signed_is_refused_before_anything_is_drawn(refused, tmp_path):
    key, store = tmp_path / "key", tmp_path / "store"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    key.chmod(0o600)
    store.mkdir()
    (store / "signature.json").write_text(json.dumps({"public_key": "ab" * 32}))
    words = ("sample", "--target", "tests.tiny_density:log_density", "--dim", "2", "--store", str(store))
    assert f"{store} is signed by another key (public key abab" in refused(*words, "--sign", str(key), code=2)
    assert [path.name for path in store.iterdir()] == ["signature.json"]


def test_a_learning_rate_that_is_too_high_is_named(tmp_path):
    done = tiny.finish(
        tiny.command("run", tmp_path, train__learning_rate="1e30", train__num_workers="1", cluster__num_actors="0")
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "scorefleet: training diverged before step 50 (weights are NaN or infinite); lower train.learning_rate (now"
    )
