"""Registration at a real MLflow: nothing twice or pickled, one line for every mistake."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.models import Model as MlflowModel

from scorefleet.tasks import config
from scorefleet.tasks.errors import ServiceError, UsageError
from scorefleet.tasks.records.tracking import Mirror
from scorefleet.tasks.records.tracking_server import connect
from scorefleet.tasks.registry.register import Record, register
from scorefleet.tasks.registry.registry import fetch_model
from tests import faulty_proxy
from tests.integration.registered import FILES, artifacts_of, context_of, embedded


def test_a_version_carries_its_facts_and_nothing_pickled(root: Path) -> None:
    context, artifacts = context_of(root), artifacts_of(root)
    registration = register(Record(config.Register(), "r"), context, *artifacts)
    assert registration.model_uri == "models:/digits/1"
    version = connect(embedded(root)).get_model_version("digits", "1")
    assert version.run_id == registration.run_id
    assert version.tags["scorefleet.key"] == context.key
    assert version.tags["data_digest"] == "d" * 64
    assert version.tags["verdict"] == "converged"
    assert version.tags["is_exact"] == "true"
    assert version.tags["version.numpy"] == np.__version__
    assert "git_commit" in version.tags
    folder = Path(str(version.source).removeprefix("file://"))
    assert {path.name for path in folder.iterdir()} == FILES | {"MLmodel"}
    description = MlflowModel.load(str(folder))
    assert list(description.flavors or {}) == ["scorefleet"]
    assert description.signature is None  # without log Z it scores no rows (test_learned)


def test_the_run_of_the_mirror_is_the_run_of_the_version(root: Path) -> None:
    context = context_of(root)
    mirror = Mirror(context.journal, embedded(root), root / "mlartifacts", "scorefleet", "digits")
    mirror.start()
    registration = register(Record(config.Register(), "r"), context, *artifacts_of(root))
    status = mirror.finish(60)
    assert (status.run_id, status.num_pending) == (registration.run_id, 0)
    client = connect(embedded(root))
    assert client.get_run(registration.run_id).data.tags["verdict"] == "converged"
    files = [
        file.path for folder in ("samples", "evaluation") for file in client.list_artifacts(registration.run_id, folder)
    ]
    assert files == ["samples/dataset.json", "evaluation/evaluation.json"]


def test_a_second_call_makes_nothing_twice(root: Path) -> None:
    context, artifacts = context_of(root), artifacts_of(root)
    first = register(Record(config.Register(), "r"), context, *artifacts)
    assert register(Record(config.Register(), "r"), context_of(root), *artifacts) == first
    require_one_of_each(connect(embedded(root)))


class Killed(BaseException):
    """Ends a step where SIGKILL would: nothing catches it."""


@pytest.mark.parametrize(
    "call",
    [
        "create_run",
        "create_logged_model",
        "log_model_artifacts",
        "finalize_logged_model",
        "create_registered_model",
        "create_model_version",
        "set_registered_model_alias",
    ],
)
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_a_step_killed_at_any_point_is_completed_by_the_next_start(
    root: Path, call: str, is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, artifacts = context_of(root), artifacts_of(root)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, call, killing(getattr(MlflowClient, call), is_done))
        with pytest.raises(Killed):
            register(Record(config.Register(), "r"), context, *artifacts)
    registration = register(Record(config.Register(), "r"), context_of(root), *artifacts)
    assert registration.model_uri == "models:/digits/1"
    require_one_of_each(connect(embedded(root)))


def test_what_was_made_before_its_answer_was_lost_is_not_made_again(tmp_path: Path, mlflow_server: str) -> None:
    """Sent again, as MLflow does with what is not answered, each creation would make a second one."""
    lost: set[str] = set()

    def lose_the_first(method: str, path: str) -> faulty_proxy.Fault:
        place = path.partition("?")[0].partition("/mlflow/")[2]
        if method == "GET" or place in lost:
            return "none"
        lost.add(place)
        return "cut_after"

    context = dataclasses.replace(context_of(tmp_path, "l" * 64), name="lost")
    with faulty_proxy.before(mlflow_server) as proxy:
        proxy.choose = lose_the_first
        settings = config.Register(tracking_uri=proxy.endpoint, experiment="answers lost")
        registration = register(Record(settings, "r"), context, *artifacts_of(tmp_path))
    assert {"runs/create", "logged-models", "registered-models/create", "model-versions/create"} <= lost
    client = connect(mlflow_server)
    experiment = client.get_experiment_by_name("answers lost")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    (model,) = client.search_logged_models([experiment.experiment_id])
    (version,) = client.search_model_versions("name = 'lost'")
    assert run.info.run_id == registration.run_id == version.run_id
    assert model.status == "READY"


def killing(call: Callable[..., object], is_done: bool) -> Callable[..., object]:
    def killed(*arguments: object, **named: object) -> None:
        if is_done:
            call(*arguments, **named)
        raise Killed

    return killed


def require_one_of_each(client: MlflowClient) -> None:
    experiment = client.get_experiment_by_name("scorefleet")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    (model,) = client.search_logged_models([experiment.experiment_id])
    (version,) = client.search_model_versions("name = 'digits'")
    assert version.run_id == run.info.run_id
    assert model.status == "READY"
    assert aliases(client) == {"champion": int(version.version)}


def aliases(client: MlflowClient) -> dict[str, int]:
    found = client.get_registered_model("digits").aliases
    return {alias: int(version) for alias, version in found.items()}


def test_a_model_that_did_not_converge_gets_a_version_but_never_the_alias(root: Path) -> None:
    registration = register(Record(config.Register(), "r"), context_of(root), *artifacts_of(root, is_converged=False))
    client = connect(embedded(root))
    assert aliases(client) == {}
    version = client.get_model_version("digits", registration.model_uri.rpartition("/")[2])
    assert version.tags["verdict"] == "not converged"
    assert version.tags["verdict_reasons"] == "Mode 3 is missing."


def test_the_first_good_model_has_the_alias_and_later_ones_leave_it_there(root: Path) -> None:
    for key, is_converged in (("a", False), ("b", True), ("c", True)):
        register(Record(config.Register(), "r"), context_of(root, key * 64), *artifacts_of(root, is_converged))
        assert aliases(connect(embedded(root))) == ({} if key == "a" else {"champion": 2})


@pytest.mark.parametrize("server", ["dead_server", "stalling_server", "failing_server"])
def test_a_bad_server_is_one_line_within_seconds(server: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    uri = request.getfixturevalue(server).replace("://", "://me:canary@")
    start = time.monotonic()
    with pytest.raises(ServiceError) as refused:
        register(Record(config.Register(tracking_uri=uri), "r"), context_of(tmp_path), *artifacts_of(tmp_path))
    assert time.monotonic() - start < 15
    assert refused.value.exit_code == 5
    assert "\n" not in str(refused.value)
    assert "canary" not in str(refused.value)
    with pytest.raises(ServiceError):
        fetch_model("models:/digits@champion", uri, tmp_path / "fetched")


def test_a_slow_server_registers_all_the_same(tmp_path: Path, slow_server: str) -> None:
    settings = dataclasses.replace(config.Register(), tracking_uri=slow_server)
    registration = register(Record(settings, "r"), context_of(tmp_path, "e" * 64), *artifacts_of(tmp_path))
    assert connect(slow_server).get_model_version("digits", registration.model_uri.rpartition("/")[2]).run_id


def test_a_deleted_experiment_is_refused_in_one_line(root: Path) -> None:
    client = connect(embedded(root))
    client.delete_experiment(client.create_experiment("scorefleet"))
    with pytest.raises(UsageError, match="experiment 'scorefleet' is deleted in MLflow"):
        register(Record(config.Register(), "r"), context_of(root), *artifacts_of(root))


def test_registering_changes_nothing_global(root: Path) -> None:
    before = mlflow.get_tracking_uri()
    register(Record(config.Register(), "r"), context_of(root), *artifacts_of(root))
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None
