"""The whole pipeline as a user runs it."""

import json
import shutil
import time
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from mlflow import MlflowClient

from scorefleet.pipelines.cli import main
from tests.integration import tiny

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, empty_database):
    root = tmp_path_factory.mktemp("finished")
    shutil.copyfile(empty_database, root / "mlflow.db")
    done = tiny.finish([*tiny.command("run", root), "--summary", str(root / "summary.json")])
    assert done.returncode in (0, 6), done.stderr
    return root, done, tiny.summary_of(root / "summary.json")


def test_the_end_says_where_everything_is(finished):
    _, done, summary = finished
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["samples", "report", "mlflow"]
    assert summary["samples"] in done.stdout
    assert summary["exit_code"] == done.returncode
    assert set(summary["steps"]) == {"prepare", "train", "sample", "normalise", "evaluate", "register", "report"}
    assert all(step["seconds"] >= 0 and step["peak_bytes"] > 0 for step in summary["steps"].values())
    assert "Traceback" not in done.stderr


def test_every_chain_and_draw_is_there_once_in_the_users_columns(finished):
    _, _, summary = finished
    table = ds.dataset(f"{summary['samples']}/shards").to_table().to_pandas()
    assert len(table) == 60 * 2 == summary["num_rows"]
    assert set(zip(table["chain"], table["draw"], strict=True)) == {(c, d) for c in range(60) for d in range(2)}
    assert {"alcohol", "proline", "position", "log_density", "log_weight", "accepted"} <= set(table.columns)
    assert table["alcohol"].between(8, 18).mean() > 0.9


@pytest.mark.parametrize("store", ["samples", "control"])
def test_both_stores_are_whole_and_their_shards_come_out_again(finished, store, capsys):
    _, _, summary = finished
    uri = summary["samples"] if store == "samples" else str(Path(summary["samples"]).with_name("control"))
    assert main(["verify", uri]) == 0
    assert main(["replay", uri, "--block", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "block 3 segment 0: equal"


def test_mlflow_holds_parameters_metrics_model_and_report(finished):
    root, _, summary = finished
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    run = client.get_run(summary["mlflow_run"])
    assert run.data.params["train.num_steps"] == "120"
    assert len(client.get_metric_history(run.info.run_id, "train/denoising_loss")) >= 2
    assert run.info.status == "FINISHED"
    files = {path.suffix for path in (root / "mlartifacts").rglob("*") if path.is_file()}
    assert {".safetensors", ".json", ".html"} <= files
    assert not files & {".pkl", ".pt", ".pth", ".pickle"}
    assert summary["model_version"] == "models:/tiny/1"


def test_the_same_command_again_does_nothing_in_seconds_and_without_ray(finished):
    root, _, _ = finished
    before, start = tiny.shards(root), time.monotonic()
    again = tiny.finish([*tiny.command("run", root), "--summary", str(root / "again.json")])
    assert time.monotonic() - start < 60  # a loaded machine imports slowly; what counts is the next line
    assert all(step["was_done"] for step in tiny.summary_of(root / "again.json")["steps"].values())
    assert again.stderr.count("done already") == 7
    assert tiny.shards(root) == before


def test_no_actors_but_this_process_change_no_byte(finished):
    root, _, _ = finished
    before = tiny.shards(root)
    words = [*tiny.command("run", root, cluster__num_actors="0"), "--from", "sample"]
    done = tiny.finish(words)
    assert done.returncode in (0, 6), done.stderr
    assert "sample   done in" in done.stderr
    assert tiny.shards(root) == before


def test_a_registered_model_draws_without_training(finished):
    root, _, _ = finished
    kernel = {"sample__exchange_rounds": "0", "sample__kernel": "langevin", "cluster__num_actors": "0"}
    words = tiny.command("generate", root, model="models:/tiny/1", num_samples="50", sample__num_draws="1", **kernel)
    done = tiny.finish([*words, "--summary", str(root / "generated.json")])
    assert done.returncode in (0, 6), done.stderr
    summary = tiny.summary_of(root / "generated.json")
    assert summary["num_rows"] == 50
    assert summary["metrics"]["chains/is_exact"] == 0
    assert json.loads(Path(summary["samples"], "dataset.json").read_text())["kernel"] == "langevin"


def test_exchange_is_told_wherever_the_chains_are(finished):
    _, _, summary = finished
    metrics = summary["metrics"]
    assert metrics["chains/exchange_rounds"] == 4 + 10
    assert metrics["chains/round_trips_per_chain"] >= 0
    assert 0 < metrics["chains/swap_rate_min"] <= metrics["chains/swap_rate_max"] <= 1
    told = json.loads(Path(summary["samples"], "dataset.json").read_text())["exchange"]
    assert min(told["swap_rate"]) == metrics["chains/swap_rate_min"]
    assert "round trips a chain" in " ".join(Path(summary["report"]).read_text().split())
