"""Step of `generate`: fetches the registered models that it samples from, or what a composition is made of."""

from pathlib import Path

from scorefleet.tasks.config import commands
from scorefleet.tasks.dag.artifacts import Model
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.records.tracking_server import connect, service, tracking_uri
from scorefleet.tasks.registry import composing
from scorefleet.tasks.registry.registry import fetch_model, parse, require_made, resolve
from scorefleet.tasks.store.places import folder_of


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
    matches = [parse(model_uri) for model_uri in (config.model, *config.times)]
    require_made(matches[0]["name"], uri)
    with service(uri):
        versions = [resolve(connect(uri), **match.groupdict()) for match in matches]
    return " ".join([*versions, composing.digest_of(config)])


def _versioned(model_uri: str, tracking_uri: str) -> str:
    """Return `models:/NAME/VERSION` of a model that may be named by its alias."""
    match = parse(model_uri)
    with service(tracking_uri):
        return f"models:/{match['name']}/{resolve(connect(tracking_uri), **match.groupdict())}"
