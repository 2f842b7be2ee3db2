"""A month of nights with a table that grows: what `scorefleet retrain` does with each."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from tests.integration import tiny

pytestmark = pytest.mark.timeout(1200)

SETTINGS = {
    "cluster.num_actors": "0",
    "name": "tiny",
    "train.num_workers": "1",
    "train.num_steps": "200",
    "train.width": "16",
    "train.num_blocks": "1",
    "train.batch_size": "128",
    "train.learning_rate": "5e-3",
    "train.ema_decay": "0.98",
    "sample.num_levels": "12",
    "sample.steps_per_level": "4",
    "sample.num_chains": "256",
    "sample.block_size": "128",
    "sample.num_control_chains": "256",
    "normalise.num_populations": "8",
    "normalise.num_particles": "128",
}
WARM = {"retrain.warm_steps": "1", "train.learning_rate": "1e-9"}


def rows(num_rows: int) -> np.ndarray:
    """The first rows of one long table of two classes."""
    random = np.random.default_rng(0)
    centre = np.where(random.random((2000, 1)) < 0.35, [3.0, 3.0, 0.0], 0.0)
    x = centre + random.normal(size=(2000, 3)) * [1, 0.5, 1]
    x[:, 2] += 0.7 * x[:, 0]
    return x[:num_rows]


def write(path: Path, x: np.ndarray, names: str = "abc") -> str:
    pq.write_table(pa.table({name: x[:, k] for k, name in enumerate(names)}), path)
    return str(path)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    root = tmp_path_factory.mktemp("nights")
    few, many = write(root / "few.parquet", rows(100)), write(root / "many.parquet", rows(1200))
    lost = write(root / "lost.parquet", rows(1300)[:, :2], "ab")
    drifted = write(root / "drifted.parquet", np.concatenate([rows(1200), rows(1300)[1200:] + np.array([0, 2, 0])]))

    def retrain(data: str, *flags: str, **changes: str) -> list[str]:
        settings = SETTINGS | {"data": data, "root": str(root / "runs")} | changes
        return ["retrain", *(word for key, value in settings.items() for word in (f"--{key}", value)), *flags]

    back = ["rollback", "tiny", "--root", str(root / "runs")]
    commands = {
        "first": retrain(few),
        "nothing new": retrain(few),
        "planned": retrain(many, "--dry-run"),
        "more rows": retrain(many),
        "a column lost": retrain(lost),
        "drifted": retrain(drifted),
        "untrained": retrain(many, **{"train.num_steps": "1"}),
        "untrained again": retrain(many, **{"train.num_steps": "1"}),
        "warm": retrain(many, **WARM),
        "back": [*back],
        "after going back": retrain(many),
        "back again": [*back],
    }
    for number, words in enumerate(commands.values()):
        words += ["--summary", str(root / f"{number}.json")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.in_one_process"],
        input=json.dumps(list(commands.values())),
        capture_output=True,
        text=True,
        check=False,
        env=tiny.clean_environment(),
    )
    assert done.returncode == 0, done.stderr
    found = dict(zip(commands, json.loads(done.stdout), strict=True))
    for number, night in enumerate(found.values()):
        path = root / f"{number}.json"
        night["summary"] = tiny.summary_of(path) if path.exists() else {}
    return found


def test_the_first_model_is_the_champion(nights):
    assert nights["first"]["code"] == 0, nights["first"]["err"]
    assert nights["first"]["summary"]["model_version"] == "models:/tiny/1"


def test_nothing_new_trains_nothing(nights):
    night = nights["nothing new"]
    assert night["code"] == 0
    assert "nothing new: data and configuration are those of the champion models:/tiny/1" in night["err"]
    assert "train" not in night["err"]
    assert night["summary"]["samples"] == nights["first"]["summary"]["samples"]


def test_a_plan_names_every_step_of_a_challenger_and_runs_none(nights):
    night = nights["planned"]
    assert night["code"] == 0, night["err"]
    assert (night["out"].count("would run"), night["out"].count("champion done already")) == (9, 1)
    assert night["summary"] == {}
    assert "started" not in night["err"]


def test_twelve_times_the_rows_make_a_better_model_and_new_samples(nights):
    night = nights["more rows"]
    assert night["code"] == 0, night["err"]
    assert (night["summary"]["outcome"], night["summary"]["champion"]) == ("promoted", "models:/tiny/2"), night["out"]
    assert night["summary"]["champion_samples"] == night["summary"]["samples"]
    assert "promoted: models:/tiny/2 replaces models:/tiny/1. It is better by its" in night["out"]
    decision = json.loads(Path(night["summary"]["decision"]).read_text())
    assert decision["num_arrived"] == 1100
    assert decision["num_departed"] == 0
    assert [one["name"] for one in decision["criteria"]] == ["likelihood", "draws"]


def test_a_lost_column_and_drifted_rows_stop_before_training(nights):
    lost, drifted = nights["a column lost"], nights["drifted"]
    assert (lost["code"], drifted["code"]) == (3, 3)
    assert "column 'c' is missing" in lost["err"]
    assert "The rows that have arrived differ in b: mean +" in drifted["err"]
    assert "--accept-drift" in drifted["err"]
    assert not any("train" in night["err"].replace("train another model", "") for night in (lost, drifted))


def test_a_worse_model_is_recorded_and_not_promoted(nights):
    night, again = nights["untrained"], nights["untrained again"]
    assert (night["code"], again["code"]) == (0, 0), night["err"]
    assert (night["summary"]["outcome"], night["summary"]["champion"]) == ("not promoted", "models:/tiny/2")
    assert night["summary"]["model_version"] == "models:/tiny/3"
    assert night["summary"]["champion_samples"] == nights["more rows"]["summary"]["samples"]
    assert again["summary"]["model_version"] == "models:/tiny/3"
    assert again["summary"]["decision_reasons"] == night["summary"]["decision_reasons"]
    assert all(step["was_done"] for step in again["summary"]["steps"].values())


def test_a_warm_start_begins_with_the_weights_of_the_champion(nights):
    night = nights["warm"]
    assert night["code"] in (0, 6), night["err"]
    assert night["summary"]["outcome"] == "not promoted"
    places = (night["summary"]["model"], nights["more rows"]["summary"]["model"])
    weights, before = (safetensors.numpy.load_file(f"{place}/weights.safetensors") for place in places)
    assert all(np.allclose(weights[name], before[name], atol=1e-6) for name in before)


def test_the_former_champion_comes_back_and_what_was_rolled_back_stays_out(nights):
    assert nights["back"]["code"] == 0
    assert nights["back"]["summary"]["champion"] == "models:/tiny/1"
    assert nights["back"]["summary"]["samples_uri"] == nights["first"]["summary"]["samples"]
    night = nights["after going back"]
    assert night["code"] == 0, night["err"]
    assert "not promoted: models:/tiny/2 was rolled back" in night["out"]
    assert night["summary"]["champion"] == "models:/tiny/1"
    assert nights["back again"]["code"] == 2
    assert "is the first champion: there is none to go back to" in nights["back again"]["err"]
