"""Fetches registered models into a folder, by `models:/name@alias` or `models:/name/version`."""

import re
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import commands, composing, mlflow_model
from tasks.allowed import MODEL_URI
from tasks.artifacts import Model
from tasks.context import Context
from tasks.ebm import model as models
from tasks.errors import UsageError
from tasks.store.places import folder_of
from tasks.tracking_server import connect, service, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient


def fetch(config: commands.Generate, context: Context) -> Model:
    """The step: the versions that the models' names, with their aliases, stand for now."""
    uri = tracking_uri(config.register, context.root)
    context.resolved["model_versions"] = " ".join(_versioned(model, uri) for model in (config.model, *config.times))
    return fetch_into(config, context.folder)


def fetch_into(config: commands.Generate, folder: Path) -> Model:
    """Fill a folder with the model, or the parts of a composition and its description; refuse what does not fit."""
    uri = tracking_uri(config.register, folder_of(config.root))
    if not composing.is_composed(config):
        fetch_model(config.model, uri, folder)
        return Model(str(folder), models.digest(folder))
    for part, model_uri in composing.parts_of(config, folder).items():
        fetch_model(model_uri, uri, part)
    return composing.publish(config, folder)


def versions_of(config: commands.Generate) -> str:
    """What each alias stands for now, so that a new champion is fetched and an old one is not fetched again, and the
    digest of what else is composed with them.
    """
    uri = tracking_uri(config.register, folder_of(config.root))
    matches = [_parse(model_uri) for model_uri in (config.model, *config.times)]
    with service(uri):
        versions = [_resolve(connect(uri), **match.groupdict()) for match in matches]
    return " ".join([*versions, composing.digest_of(config)])


def fetch_model(model_uri: str, tracking_uri: str, destination: Path) -> Path:
    """Fill `destination` with `model.json`, `weights.safetensors` and `schema.json`, and return it.

    A name, alias or version that does not exist is refused with a list of those that do; there is no way to
    ask for the latest, which may be a model that failed. The sha256 of every file is compared with the
    registered one.
    """
    match = _parse(model_uri)
    with service(tracking_uri):
        client = connect(tracking_uri)
        version = _resolve(client, **match.groupdict())
        source = client.get_model_version_download_uri(match["name"], version)
        _download(source, model_uri, tracking_uri, destination)
    return destination


def _versioned(model_uri: str, tracking_uri: str) -> str:
    """Return `models:/NAME/VERSION` of a model that may be named by its alias."""
    match = _parse(model_uri)
    with service(tracking_uri):
        return f"models:/{match['name']}/{_resolve(connect(tracking_uri), **match.groupdict())}"


def _parse(model_uri: str) -> re.Match[str]:
    match = MODEL_URI.fullmatch(model_uri)
    if match is None:
        raise UsageError(f"a model is named models:/NAME@ALIAS or models:/NAME/VERSION, but got {model_uri!r}")
    return match


def _resolve(client: "MlflowClient", name: str, alias: str | None, version: str | None) -> str:
    """The number of the version that is asked for."""
    aliases = _aliases(client, name)
    if alias is not None:
        if alias in aliases:
            return aliases[alias]
        known = ", ".join(f"{key} -> version {value}" for key, value in aliases.items()) or "none"
        raise UsageError(f"model {name!r} has no alias {alias!r}: its aliases are {known}; {_versions(client, name)}")
    if version not in _numbers(client, name):
        raise UsageError(f"model {name!r} has no version {version}: {_versions(client, name)}")
    return version


def _aliases(client: "MlflowClient", name: str) -> dict[str, str]:
    """Alias -> version of a registered model that must exist."""
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(name).aliases
        return {alias: str(version) for alias, version in aliases.items()}
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        names = ", ".join(model.name for model in client.search_registered_models()) or "none"
        raise UsageError(f"there is no registered model {name!r}: there are {names}") from error


def _numbers(client: "MlflowClient", name: str) -> list[str]:
    found = client.search_model_versions(f"name = '{name}'")
    return sorted((str(version.version) for version in found), key=int)


def _versions(client: "MlflowClient", name: str) -> str:
    return f"its versions are {', '.join(_numbers(client, name)) or 'none'}"


def _download(source: str, model_uri: str, tracking_uri: str, destination: Path) -> None:
    """The description first, which says whether the model is ours; each file appears whole or not at all."""
    from mlflow.artifacts import download_artifacts

    destination.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination) as folder:
        fetch = partial(download_artifacts, dst_path=folder, tracking_uri=tracking_uri)
        description = fetch(artifact_uri=f"{source}/MLmodel")
        digests = mlflow_model.require_flavor(Path(description), model_uri)
        for name in mlflow_model.FILES:
            fetch(artifact_uri=f"{source}/{name}")
        mlflow_model.require_whole(Path(folder), digests, model_uri)
        for name in mlflow_model.FILES:
            (Path(folder) / name).replace(destination / name)
