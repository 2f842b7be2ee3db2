"""Whom a team's server does not know or does not allow, and models that are pickles: one line each, nothing more."""

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import Model as MlflowModel

from scorefleet.pipelines.cli import main
from scorefleet.tasks import config
from scorefleet.tasks.errors import ServiceError
from scorefleet.tasks.records.tracking_server import connect, limit_mlflow
from scorefleet.tasks.registry.alias import Registry, promote, rollback
from scorefleet.tasks.registry.register import Record, register
from scorefleet.tasks.registry.registry import fetch_model
from tests.clusters.conftest import Team
from tests.integration.registered import artifacts_of, context_of

pytestmark = pytest.mark.timeout(300)

Call = Callable[[], object]


OURS = "ours"
"""Experiment and model of these tests."""


def registering(team: Team, root: Path, key: str) -> Call:
    """A step that registers."""
    settings = config.Register(tracking_uri=team.server.uri, experiment=OURS)
    context = dataclasses.replace(context_of(root, key * 64), name=OURS)
    return lambda: register(Record(settings, "r"), context, *artifacts_of(root))


def become(monkeypatch: pytest.MonkeyPatch, member: dict[str, str]) -> None:
    for name, value in member.items():
        monkeypatch.setenv(name, value)


def line_of(call: Call) -> str:
    """What is said where the server refuses."""
    with pytest.raises(ServiceError) as refused:
        call()
    assert "\n" not in str(refused.value)
    assert "canary" not in str(refused.value)
    return str(refused.value)


def test_a_wrong_password_is_one_line_that_does_not_hold_it(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    become(monkeypatch, team.maker | {"MLFLOW_TRACKING_PASSWORD": "canary-of-another"})
    remedy = "does not know this user and password (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    assert remedy in line_of(registering(team, tmp_path, "a"))
    assert remedy in line_of(lambda: fetch_model(f"models:/{OURS}@champion", team.server.uri, tmp_path / "fetched"))
    assert main(["rollback", OURS, "--tracking-uri", team.server.uri, "--root", str(tmp_path)]) == 5
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert remedy in said


def test_who_has_edit_registers_and_promotes_who_has_read_draws_and_others_get_a_line(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, team.maker)
    registering(team, tmp_path, "a")()
    experiment = connect(team.server.uri).get_experiment_by_name(OURS)
    assert experiment is not None
    registry = Registry(config.Register(tracking_uri=team.server.uri), OURS, tmp_path)
    members = {name: team.server.add_user(name) for name in ("guest", "reader", "editor")}
    for name, permission in (("reader", "READ"), ("editor", "EDIT")):
        team.server.grant(name, "experiment", experiment.experiment_id, permission)
        team.server.grant(name, "registered_model", OURS, permission)
    register_b = registering(team, tmp_path, "b")

    def draw() -> None:
        fetch_model(f"models:/{OURS}@champion", team.server.uri, tmp_path / "fetched")

    for name, forbidden in (("guest", draw), ("guest", register_b), ("reader", register_b)):
        become(monkeypatch, members[name])
        line = line_of(forbidden)
        assert "403" in line
        assert line.endswith("its administrator can give you EDIT on the experiment and on the registered model")
    draw()
    become(monkeypatch, members["editor"])
    register_b()
    assert promote(registry, "1", "2") == "2"
    assert rollback(registry)[:2] == ("2", "1")


class Bomb:
    """What harms whoever loads it."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_pickled_model_is_loaded_by_nobody(
    as_maker: Team, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither by us, who read no other flavour than ours, nor by MLflow as we set it."""
    limit_mlflow()
    client, harm = connect(as_maker.server.uri), tmp_path / "harm"
    run = client.create_run(client.create_experiment("pickles"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(Bomb(harm)))
    description = MlflowModel(run_id=run.info.run_id)
    description.add_flavor("sklearn", pickled_model="model.pkl", serialization_format="pickle")
    description.save(str(folder / "MLmodel"))
    client.log_artifacts(run.info.run_id, str(folder), "model")
    client.create_registered_model("forest")
    client.create_model_version("forest", f"{run.info.artifact_uri}/model", run.info.run_id)

    words = ["generate", "--model", "models:/forest/1", "--register.tracking_uri", as_maker.server.uri]
    assert main([*words, "--root", str(tmp_path / "runs")]) == 2
    assert "models:/forest/1 is not a scorefleet model (its flavours: sklearn)" in capsys.readouterr().err
    with pytest.raises(MlflowException, match="MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        mlflow.sklearn.load_model(str(folder))
    assert not harm.exists()
