"""A score-only network, trained against a known score, through the command line: every step knows that it has no
density.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.store.manifest import SampleStore
from tests.integration import tiny

pytestmark = pytest.mark.timeout(600)
REPOSITORY = Path(__file__).parents[2]
KNOWN = """
def score(x):
    return (10 - x) / 4
"""


def run(folder, *words):
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    environment = tiny.clean_environment() | {"PYTHONPATH": path}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("score-only")
    (folder / "known_normal.py").write_text(KNOWN)
    x = 10 + 2 * np.random.default_rng(0).standard_normal((400, 2))
    pq.write_table(pa.table({"a": x[:, 0], "b": x[:, 1]}), folder / "rows.parquet")
    changes = {"train.energy": "score_only", "train.objective": "explicit", "train.known_score": "known_normal:score"}
    changes |= {
        "prepare.data": "rows.parquet",
        "sample.num_draws": "5",
        "sample.exchange_rounds": "0",
        "cluster.num_actors": "0",
        "train.num_workers": "1",
    }
    words = [*tiny.command("run", folder / "root", **changes), "--summary", "summary.json"]
    done = run(folder, *words)
    assert done.returncode in (0, 6), done.stderr
    return folder, tiny.summary_of(folder / "summary.json")


def test_the_store_has_no_densities_and_is_marked(finished):
    _, summary = finished
    store = SampleStore(summary["samples"], writable=False)
    table, description = store.dataset().to_table(), store.description()
    assert len(table) == 60 * 5
    assert not {"log_density", "log_weight"} & set(table.column_names)
    assert not description["is_exact"]
    assert "line integrals" in description["flaw"]
    assert description["program"]["ladder"]["kernel"] == "line_integral_simpson"
    assert abs(table["a"].to_numpy().mean() - 10) < 1  # 60 chains of standard deviation 2: four standard errors


def test_the_verdict_and_mlflow_say_that_draws_are_not_exact(finished):
    folder, summary = finished
    metrics = summary["metrics"]
    assert metrics["chains/is_exact"] == 0
    assert 0 < metrics["quality/antisymmetric_share"] < 1
    assert "neither is exact" in " ".join(summary["reasons"])
    assert not any("log_z" in name or "weight" in name or "log_density" in name for name in metrics)
    client = MlflowClient(f"sqlite:///{folder / 'root' / 'mlflow.db'}")
    assert client.get_run(summary["mlflow_run"]).data.tags["is_exact"] == "false"
    assert client.get_model_version("tiny", "1").tags["is_exact"] == "false"
    assert list((folder / "root" / "mlartifacts").rglob("weights.safetensors"))


def test_the_page_says_what_it_means_and_shows_no_number_that_is_none(finished):
    page = Path(finished[1]["report"]).read_text()
    words = " ".join(page.split())
    assert "its chains have no exact target" in words
    assert "a score without a density ranks no rows" in words
    assert "Part of the score that is no gradient" in words
    assert ">nan" not in words
    assert "None" not in words
    assert "Log normaliser" not in words


def test_one_loader_reads_the_model_as_what_it_is(finished):
    trained = models.load(Path(finished[1]["model"]))
    assert isinstance(trained, models.ScoreModel)
    assert json.loads((Path(finished[1]["model"]) / "model.json").read_text())["train"]["time_score_weight"] == 0


def test_a_registered_score_draws_without_training(finished):
    folder, _ = finished
    words = tiny.command(
        "generate",
        folder / "root",
        model="models:/tiny/1",
        num_samples="40",
        sample__num_draws="1",
        cluster__num_actors="0",
    )
    done = run(
        folder,
        *words,
        "--sample.kernel",
        "score_langevin",
        "--sample.exchange_rounds",
        "0",
        "--summary",
        "generated.json",
    )
    assert done.returncode in (0, 6), done.stderr
    assert tiny.summary_of(folder / "generated.json")["metrics"]["chains/is_exact"] == 0
