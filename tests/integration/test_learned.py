"""A registered model scores rows by the command, from Python and by MLflow's own loader, all alike, from anywhere."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.models import Model as MlflowModel

from scorefleet import load
from scorefleet.pipelines.cli import main
from scorefleet.tasks import config
from scorefleet.tasks.data.prepare import read_split
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.judging.evaluate import HELD_OUT
from scorefleet.tasks.records.tracking_server import connect
from scorefleet.tasks.registry.register import Record, register
from tests.finished_run import finish
from tests.integration.registered import FILES, embedded
from tests.integration.tiny import clean_environment

MODEL = "models:/digits@champion"
BY_MLFLOW = """
import sys, mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
model.predict(pd.read_parquet(sys.argv[3])).to_parquet(sys.argv[4])
assert "ray" not in sys.modules
"""


@pytest.fixture(scope="module", params=["sklearn:digits", "sklearn:wine"])
def registered(request, tmp_path_factory):
    """The root of a registered model, and rows that it has not seen, in a file."""
    run = finish(tmp_path_factory.mktemp("root"), request.param)
    context = run.context("register")
    evaluation = run.evaluate()
    artifacts = (run.dataset, run.model, run.samples, evaluation, run.normaliser)
    version = register(Record(config.Register(), "r"), context, *artifacts).model_uri
    held_out = pa.concat_tables([read_split(Path(run.dataset.uri), name) for name in HELD_OUT])
    pq.write_table(held_out, run.root / "new.parquet")
    return run.root, version, run


def test_all_three_score_alike_and_as_the_run_did(registered, tmp_path):
    root, version, run = registered
    summary = tmp_path / "summary.json"
    words = ["--model", version, "--data", str(root / "new.parquet"), "--root", str(root), "--summary", str(summary)]
    assert main(["score", *words]) == 0
    outcome = json.loads(summary.read_text())
    by_command = pq.read_table(outcome["scores"])
    assert by_command["row"].to_pylist() == list(range(outcome["num_rows"]))
    density = load(version, root=str(root))
    nats = density.log_prob(root / "new.parquet")
    assert np.array_equal(by_command["log_prob"], nats)
    assert outcome["mean_log_prob"] == nats.mean()
    arguments = [embedded(root), version, str(root / "new.parquet"), str(tmp_path / "out.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", BY_MLFLOW, *arguments],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert np.array_equal(pd.read_parquet(tmp_path / "out.parquet")["log_prob"], nats)
    is_whole = any(column.is_whole for column in density.schema.columns)
    allowed = 4 * nats.std() / np.sqrt(len(nats)) if is_whole else 1e-3  # each has its own dequantisation
    assert nats.mean() == pytest.approx(run.evaluate().metrics["likelihood/held_out"], abs=allowed)


def test_what_cannot_be_scored_is_a_line(registered, tmp_path, capsys):
    root, version, _ = registered
    before = {*root.glob("score/*")}
    (tmp_path / "other.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    for words, code, said in (
        (["--model", version, "--data", str(tmp_path / "other.csv")], 3, "has no column"),
        (["--model", version, "--data", str(tmp_path / "nothing.csv")], 3, "nothing.csv"),
        (["--model", "models:/digits", "--data", "x.csv"], 2, "--model must be models:/NAME@ALIAS"),
        (["--model", "models:/digits/9", "--data", "x.csv"], 2, "has no version 9"),
        (["--model", str(tmp_path), "--data", "x.csv"], 2, "has no model.json"),
        (["--model", version, "--data", "x.csv", "--summary", str(tmp_path)], 2, "is a folder: name a file in it"),
    ):
        assert main(["score", *words, "--root", str(root)]) == code
        lines = capsys.readouterr().err.splitlines()
        assert said in lines[-1]
        assert all("separator" in line for line in lines[:-1])  # how a CSV file was read
    assert {*root.glob("score/*")} == before


def test_the_signature_is_of_the_users_columns_and_nothing_is_pickled(registered):
    root, version, run = registered
    name, _, number = version.removeprefix("models:/").partition("/")
    folder = Path(str(connect(embedded(root)).get_model_version(name, number).source).removeprefix("file://"))
    left = {path.name for path in folder.iterdir()} - {"registered_model_meta"}  # MLflow's, of who has loaded it
    assert left == FILES | {"MLmodel", "normaliser.json"}
    signature = MlflowModel.load(str(folder)).signature
    schema = read_schema(Path(run.dataset.uri))
    assert [spec.name for spec in signature.inputs] == [column.name for column in schema.columns]
    assert [spec.name for spec in signature.outputs] == ["log_prob"]
    (folder / "normaliser.json").write_text("{}")
    with pytest.raises(StorageError, match=r"normaliser\.json of models:/.* is damaged"):
        load(version, root=str(root))
