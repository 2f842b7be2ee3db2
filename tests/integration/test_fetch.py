"""Registered models come back whole from real MLflow, or are refused in one line."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.models import Model as MlflowModel

from scorefleet.tasks import config
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.records.tracking_server import connect
from scorefleet.tasks.registry.register import Record, register
from scorefleet.tasks.registry.registry import fetch_model
from tests.integration.registered import FILES, artifacts_of, context_of, embedded


@pytest.mark.parametrize("uri_of", [embedded, None], ids=["sqlite", "server"])
def test_a_registered_model_comes_back_whole_by_alias_and_by_version(
    root: Path, uri_of: Callable[[Path], str] | None, request: pytest.FixtureRequest
) -> None:
    uri = uri_of(root) if uri_of else request.getfixturevalue("mlflow_server")
    key = root.name[0] + "f" * 63
    registration = register(Record(config.Register(tracking_uri=uri), "r"), context_of(root, key), *artifacts_of(root))
    for model_uri in ("models:/digits@champion", registration.model_uri):
        folder = fetch_model(model_uri, uri, root / "fetched")
        assert {path.name for path in folder.iterdir()} == FILES
        for name, source in [(name, "prepare" if name == "schema.json" else "train") for name in FILES]:
            assert (folder / name).read_bytes() == (root / source / name).read_bytes()


def test_a_name_may_have_dots_and_spaces(root: Path) -> None:
    context = dataclasses.replace(context_of(root), name="our digits v1.2")
    registration = register(Record(config.Register(), "r"), context, *artifacts_of(root))
    assert registration.model_uri == "models:/our digits v1.2/1"
    folder = fetch_model("models:/our digits v1.2@champion", embedded(root), root / "fetched")
    assert {path.name for path in folder.iterdir()} == FILES


@pytest.mark.parametrize(
    ("model_uri", "says"),
    [
        ("models:/cats@champion", "there is no registered model 'cats': there are digits"),
        (
            "models:/digits@best",
            "has no alias 'best': its aliases are champion -> version 1; its versions are 1, 2",
        ),
        ("models:/digits/7", "model 'digits' has no version 7: its versions are 1, 2"),
        ("models:/digits/latest", "a model is named models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("digits@champion", "a model is named models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/digits", "a model is named models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/digits' or name != '/1", "a model is named models:/NAME@ALIAS"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(root: Path, model_uri: str, says: str) -> None:
    register(Record(config.Register(), "r"), context_of(root), *artifacts_of(root))
    register(Record(config.Register(), "r"), context_of(root, "b" * 64), *artifacts_of(root, is_converged=False))
    with pytest.raises(UsageError) as refused:
        fetch_model(model_uri, embedded(root), root / "fetched")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (root / "fetched").exists()


def test_no_registered_model_at_all_is_said_so(root: Path) -> None:
    with pytest.raises(UsageError, match="there is no registered model 'digits': there are none"):
        fetch_model("models:/digits@champion", embedded(root), root / "fetched")


def test_a_model_of_another_flavour_is_refused_before_its_files_are_fetched(root: Path) -> None:
    client = connect(embedded(root))
    other = root / "other"
    other.mkdir()
    description = MlflowModel()
    description.add_flavor("sklearn", pickled_model="model.pkl")
    description.save(str(other / "MLmodel"))
    client.create_registered_model("forest")
    client.create_model_version("forest", other.as_uri())
    with pytest.raises(UsageError, match=r"models:/forest/1 is not a scorefleet model \(its flavours: sklearn\)"):
        fetch_model("models:/forest/1", embedded(root), root / "fetched")
    assert list((root / "fetched").iterdir()) == []


def test_a_damaged_file_is_refused(root: Path) -> None:
    register(Record(config.Register(), "r"), context_of(root), *artifacts_of(root))
    source = connect(embedded(root)).get_model_version("digits", "1").source
    weights = Path(str(source).removeprefix("file://")) / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(StorageError, match=r"weights\.safetensors of models:/digits/1 is damaged"):
        fetch_model("models:/digits/1", embedded(root), root / "fetched")
    assert list((root / "fetched").iterdir()) == []
