import csv
import json
from pathlib import Path

import numpy as np
import pytest

from scorefleet.tasks import config
from scorefleet.tasks.judging.evaluate import judge_chains
from tests.finished_run import EXCHANGE, finish

CHAINS = {"chains/control_p_value", "chains/weights_ess_fraction", "chains/log_z"}
QUALITY = {"quality/auc", "quality/class_ratio_min", "likelihood/held_out", "likelihood/bits_per_dimension"}


def rows_of(folder, name):
    with (Path(folder) / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def converged(tmp_path_factory):
    run = finish(tmp_path_factory.mktemp("run"))
    return run, run.evaluate()


def test_chains_that_agree_with_their_control_converged(converged):
    _, evaluation = converged
    assert evaluation.is_converged
    assert len(evaluation.reasons) == 4
    assert evaluation.metrics.keys() >= CHAINS | QUALITY


def test_evaluation_json_says_what_the_artifact_says(converged):
    _, evaluation = converged
    document = json.loads((Path(evaluation.uri) / "evaluation.json").read_text())
    assert document["metrics"] == evaluation.metrics
    assert tuple(document["reasons"]) == evaluation.reasons


def test_metrics_reach_the_journal(converged):
    run, evaluation = converged
    lines = (run.root / "journal" / "0123456789abcdef.jsonl").read_text().splitlines()
    recorded = [entry for entry in map(json.loads, lines) if entry["kind"] == "metrics"]
    assert recorded[-1]["values"] == evaluation.metrics


def test_tables_have_a_row_for_each_thing(converged):
    _, evaluation = converged
    assert len(rows_of(evaluation.uri, "columns")) == 64
    assert [row["class"] for row in rows_of(evaluation.uri, "classes")] == [str(digit) for digit in range(10)]
    assert len(rows_of(evaluation.uri, "levels")) == 24
    nearest = rows_of(evaluation.uri, "nearest")
    assert sum(row["set"] == "draws" for row in nearest) == 256


def test_column_moments_are_in_the_users_units(converged):
    _, evaluation = converged
    middle = next(row for row in rows_of(evaluation.uri, "columns") if row["column"] == "image[3, 3]")
    assert float(middle["mean_held_out"]) == pytest.approx(9.1, abs=0.5)


def test_draws_made_of_training_rows_are_called_copies(converged):
    _, evaluation = converged
    assert evaluation.metrics["quality/memorisation_p_value"] < 1e-6


def test_a_second_run_of_the_step_ends_in_the_same_bytes(tmp_path):
    run = finish(tmp_path, data="sklearn:wine")
    evaluation = run.evaluate()
    before = {path.name: path.read_bytes() for path in Path(evaluation.uri).iterdir()}
    run.evaluate()
    assert {path.name: path.read_bytes() for path in Path(evaluation.uri).iterdir()} == before


def test_draws_unlike_their_control_did_not_converge(tmp_path):
    run = finish(tmp_path, control_blur=1.5)
    evaluation = judge_chains(config.Evaluate(), run.context("evaluate"), run.samples)
    assert not evaluation.is_converged
    assert "differ from those of a ladder of twice the steps" in evaluation.reasons[0]


def test_log_densities_show_a_difference_that_rows_hide(tmp_path):
    run = finish(tmp_path, control_blur=0.6)
    metrics = judge_chains(config.Evaluate(), run.context("evaluate"), run.samples).metrics
    assert metrics["chains/control_log_density_p_value"] < 1e-6 < 1e-3 < metrics["chains/control_p_value"]


def test_stuck_chains_did_not_converge(tmp_path):
    run = finish(tmp_path, num_stuck=60)
    evaluation = judge_chains(config.Evaluate(), run.context("evaluate"), run.samples)
    assert not evaluation.is_converged
    assert evaluation.reasons[0].startswith("60 of 256 chains")


def test_chains_that_keep_several_draws_are_measured_for_mixing_but_not_failed_by_it(tmp_path):
    run = finish(tmp_path, data="sklearn:wine", num_draws=5)
    evaluation = judge_chains(config.Evaluate(), run.context("evaluate"), run.samples)
    assert evaluation.metrics["chains/rhat_max"] > 2  # each chain stays where its row put it
    assert evaluation.is_converged


def test_a_table_with_a_label_is_evaluated(tmp_path):
    evaluation = finish(tmp_path, data="sklearn:wine").evaluate()
    assert evaluation.metrics["quality/class_ratio_max"] < 2
    assert len(rows_of(evaluation.uri, "columns")) == 13
    assert np.isfinite(list(evaluation.metrics.values())).all()


def test_exchange_is_measured_and_told_level_by_level(tmp_path):
    evaluation = finish(tmp_path, data="sklearn:wine", exchange=EXCHANGE).evaluate()
    assert evaluation.metrics["chains/round_trips_per_chain"] == 1.25
    assert evaluation.metrics["chains/swap_rate_min"] == 0.44
    assert evaluation.metrics["chains/exchange_barrier"] == pytest.approx(3 - 0.61 - 0.44 - 0.52)
    assert any("4 exchanged levels" in reason for reason in evaluation.reasons)
    told = {int(k): row for k, row in enumerate(rows_of(evaluation.uri, "levels")) if row["swap_rate"]}
    assert {k: float(row["swap_rate"]) for k, row in told.items()} == {0: 0.61, 8: 0.44, 16: 0.52}
