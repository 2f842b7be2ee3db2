"""MLflow is told what is run, under the keys of the command."""

import dataclasses

from scorefleet.pipelines import generate, retrain, sample_target, train_and_sample
from scorefleet.pipelines.record import parameters
from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.retraining.champion import Seat


def test_keys_that_a_step_chooses_are_left_to_it():
    run = commands.Run(prepare=config.Prepare("sklearn:wine"), train=config.Train(width=16))
    recorded = parameters(train_and_sample.steps(run), run)
    assert recorded["train.width"] == 16
    assert recorded["prepare.data"] == "sklearn:wine"
    assert recorded["name"] == "model"
    assert recorded["cluster.address"] is None
    assert not {"train.num_steps", "train.dropout", "sample.kernel"} & recorded.keys()


def test_a_warm_start_records_the_steps_that_it_trains():
    train, warm = config.Train(num_steps=2000), config.Retrain(warm_steps=30)
    run = commands.Run(prepare=config.Prepare("sklearn:wine"), train=train, retrain=warm)
    steps = retrain.steps(run, Seat(run.register, "models:/model/1", ""))
    assert parameters(steps, run)["train.num_steps"] == 30


def test_generate_records_the_model_and_the_chains_that_run():
    settings = commands.Generate(model="models:/tiny@champion", num_samples=50, fixed={"a": 3.0})
    steps = generate.steps(settings)
    recorded = parameters(steps, settings)
    assert recorded["model"] == "models:/tiny@champion"
    assert recorded["sample.num_chains"] == 50
    assert recorded["num_samples"] == 50
    assert recorded["fixed.a"] == 3.0
    assert "train.num_workers" not in recorded
    assert "prepare.data" not in recorded


def test_sample_records_the_density_and_its_chains():
    settings = commands.SampleTarget(target="tests.tiny_density:log_density", dim=2, num_chains=64)
    recorded = parameters(sample_target.steps(settings), settings)
    assert {"target", "dim", "num_chains", "num_draws", "support", "seed", "root"} <= recorded.keys()
    assert recorded["num_chains"] == 64
    assert not any(key.startswith(("train.", "sample.", "prepare.")) for key in recorded)
    assert dataclasses.asdict(settings).keys() >= {key.partition(".")[0] for key in recorded}
