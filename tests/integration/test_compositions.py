"""Compositions of registered models through the command line, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scorefleet.pipelines.cli import main
from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Dataset, Evaluation, Model, Samples
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.registry.register import Record, register
from scorefleet.tasks.store.manifest import SampleStore
from tests import gaussians
from tests.integration.tiny import clean_environment, summary_of

pytestmark = pytest.mark.timeout(600)

REPOSITORY = Path(__file__).parents[2]
ROWS = {
    "left": gaussians.rows_of([10.0, -2.0], [[4.0, 1.0], [1.0, 0.5]], 1),
    "right": gaussians.rows_of([12.0, 0.0], [[1.0, -0.2], [-0.2, 2.0]], 2),
    "whole": np.rint(gaussians.rows_of([10.0, -2.0], [[40.0, 1.0], [1.0, 5.0]], 3)),
}
CLASSIFIER = """
import torch

def log_probabilities(x):
    return torch.nn.functional.logsigmoid(torch.stack([x[:, 0] - 11, 11 - x[:, 0]], dim=1))

def shares(x):
    return log_probabilities(x).exp()
"""
SMALL = {"num-samples": "1200", "sample.num_draws": "4", "sample.num_levels": "8", "sample.num_control_chains": "256"}
SMALL |= {"cluster.num_actors": "0"}


@pytest.fixture
def here(root, capsys, monkeypatch):
    """Runs a command in this process, in the root; gives its exit code, its output and its errors."""
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root))

    def run(*words):
        code = main(words_of(root, *words))
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def root(tmp_path_factory, empty_database):
    """A root with three registered models, and a classifier in the working folder."""
    root = tmp_path_factory.mktemp("compositions")
    (root / "mlflow.db").write_bytes(empty_database.read_bytes())
    (root / "classes.py").write_text(CLASSIFIER)
    for name, rows in ROWS.items():
        folder = root / "made" / name
        gaussians.write(folder, rows, "ab", "int16" if name == "whole" else "float64")
        (folder / "dataset.json").write_text('{"is_exact": true}')
        (folder / "evaluation.json").write_text("{}")
        context = Context(f"{name:k<64}", folder, name, 0, root, config.Cluster(), Journal(folder / "journal.jsonl"))
        here = str(folder)
        made = Dataset(here, "d", {}, 2), Model(here, models.digest(folder)), Samples(here, "s", 1, None, here)
        register(Record(config.Register(), "r"), context, *made, Evaluation(here, True, (), {}))
    return root


def words_of(root, *words):
    chosen = {"model": "models:/left@champion", "root": str(root), "summary": str(root / "summary.json")} | SMALL
    return ["generate", *(word for key, value in chosen.items() for word in (f"--{key}", value)), *words]


def generate(root, *words):
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "scorefleet", *words_of(root, *words)],
        cwd=root,
        env=clean_environment() | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_product_of_a_class_at_a_fixed_value_is_drawn_judged_and_done_once(root, here):
    words = ("--times", "[models:/right@champion]", "--weights", "[1, 0.5]", "--fixed.b", "-1.1")
    words += ("--classifier", "classes:log_probabilities", "--label", "1")
    done = generate(root, *words)
    assert done.returncode in (0, 6), done.stderr
    summary = summary_of(root / "summary.json")
    assert done.returncode == (0 if summary["is_converged"] else 6)
    assert summary["metrics"]["chains/rhat_max"] > 0.9
    store = SampleStore(summary["samples"], writable=False)
    assert store.description()["model_digest"] == digest_of(root, summary["model"])
    table = store.dataset().to_table()
    assert table.column_names[:2] == ["a", "b"]
    assert table["b"].type == pa.float64()
    assert set(table["b"].to_pylist()) == {-1.1}
    assert len(table) == 1200
    assert table["position"].type.list_size == 2
    require_mean(table["a"].to_numpy())
    code, _, said = here(*words)
    assert (code, said.count("done already")) == (done.returncode, 3)


def require_mean(a):
    """That of the product of normals given b, times the logistic function, by quadrature: within 5 standard errors, of
    300 independent chains (6e-7), and .01 for the noise of the lowest level, .05 of a standard deviation.
    """
    laws = [gaussians.law(ROWS[name], 0.0) for name in ("left", "right")]
    precision = sum(w * np.linalg.inv(v) for w, (_, v) in zip((1.0, 0.5), laws, strict=True))
    shift = sum(w * np.linalg.solve(v, m) for w, (m, v) in zip((1.0, 0.5), laws, strict=True))
    center = (shift[0] - precision[0, 1] * -1.1) / precision[0, 0]
    at = np.linspace(center - 9, center + 9, 10_001)
    weights = np.exp(-0.5 * precision[0, 0] * (at - center) ** 2 - np.logaddexp(0, at - 11))
    mean = np.average(at, weights=weights)
    deviation = np.sqrt(np.average((at - mean) ** 2, weights=weights))
    assert abs(a.mean() - mean) < 5 * deviation / np.sqrt(300) + 0.01
    assert abs(center - mean) > 5 * deviation / np.sqrt(300) + 0.01, "the class changes too little to be tested"


def digest_of(root, folder):
    manifest = json.loads((Path(folder) / "manifest.json").read_text())
    description = json.loads((Path(folder) / "model.json").read_text())
    assert [part["weight"] for part in description["parts"]] == [1.0, 0.5]
    assert description["dim"] == 1
    return manifest["artifact"]["digest"]


def test_a_changed_classifier_starts_anew(root, here):
    words = ("--classifier", "classes:log_probabilities", "--label", "0", "--dry-run")
    _, before, _ = here(*words)
    (root / "classes.py").write_text(CLASSIFIER.replace("11", "12"))
    _, after, _ = here(*words)
    (root / "classes.py").write_text(CLASSIFIER)
    assert before.count("would run") == after.count("would run") == 3
    assert before != after
    assert here(*words)[1] == before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--times", "models:/right@champion"), 2, "times must be a list [A, B], but got 'models:/right@champion'"),
        (("--times", "[models:/other/1]"), 2, "there is no registered model 'other': there are left, right, whole"),
        (
            ("--times", "[models:/whole/1]"),
            2,
            "left@champion has a (float64) where models:/whole/1 has a (whole int16)",
        ),
        (("--weights", "[1, 2]"), 2, "weights must be 1 numbers for a product of models, but got [1.0, 2.0]"),
        (("--classifier", "classes:log_probabilities"), 2, "label must be given with classifier, only, but got None"),
        (("--classifier", "classes:shares", "--label", "1"), 3, "end it with log_softmax(1)"),
        (("--classifier", "classes:log_probabilities", "--label", "2"), 2, "label must be from 0 to 1"),
        (("--classifier", "absent:f", "--label", "0"), 2, "needs the module 'absent'"),
        (("--fixed.c", "1"), 2, "fixed.c is no column of the model: it has a, b"),
        (("--fixed.a", "wide"), 3, "fixed.a: 'wide' is neither a number nor a file that can be read"),
        (("--fixed.a", "[1, 2]"), 2, "fixed"),
        (("--fixed.a", "absent.npy"), 3, "'absent.npy' is neither"),
    ],
)
def test_what_cannot_be_composed_is_refused_in_one_line(here, words, code, says):
    refused, out, said = here(*words)
    lines = [line for line in said.splitlines() if not line.startswith("fetch ")]
    assert (refused, out, len(lines)) == (code, "", 1), said
    assert says in lines[0]
