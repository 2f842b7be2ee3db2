"""Models in MLflow's registry, by `models:/name@alias` or `models:/name/version`."""

import re
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scorefleet.tasks.config.allowed import MODEL_URI
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.records.tracking_server import connect, is_made, service
from scorefleet.tasks.registry import mlflow_model

if TYPE_CHECKING:
    from mlflow import MlflowClient


def fetch_model(model_uri: str, tracking_uri: str, destination: Path) -> Path:
    """Fill `destination` with the files of a model (`mlflow_model`), and return it.

    A name, alias or version that does not exist is refused with a list of those that do; there is no way to
    ask for the latest, which may be a model that failed. The sha256 of every file is compared with the
    registered one.
    """
    match = parse(model_uri)
    require_made(match["name"], tracking_uri)
    with service(tracking_uri):
        client = connect(tracking_uri)
        version = resolve(client, **match.groupdict())
        source = client.get_model_version_download_uri(match["name"], version)
        _download(source, model_uri, tracking_uri, destination)
    return destination


def require_made(name: str, tracking_uri: str) -> None:
    """Refuse to look for a model under a root where nothing was registered yet."""
    if not is_made(tracking_uri):
        raise UsageError(
            f"there is no registered model {name!r}, nor any other at {tracking_uri}: give the --root of the run that "
            "registered it, or the server's address with register.tracking_uri"
        )


def parse(model_uri: str) -> re.Match[str]:
    match = MODEL_URI.fullmatch(model_uri)
    if match is None:
        raise UsageError(f"a model is named models:/NAME@ALIAS or models:/NAME/VERSION, but got {model_uri!r}")
    return match


def resolve(client: "MlflowClient", name: str, alias: str | None, version: str | None) -> str:
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
        for name in digests:
            fetch(artifact_uri=f"{source}/{name}")
        mlflow_model.require_whole(Path(folder), digests, model_uri)
        for name in digests:
            (Path(folder) / name).replace(destination / name)
