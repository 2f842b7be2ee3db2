"""The champion that a challenger meets: its files, and what it was made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scorefleet.tasks import config
from scorefleet.tasks.dag import artifacts, published
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.records.tracking_server import connect, service, tracking_uri
from scorefleet.tasks.registry.registry import fetch_model
from scorefleet.tasks.store.intact import flaw_of_store
from scorefleet.tasks.store.objects import open_store


@dataclass(frozen=True)
class Seat:
    """The champion that a challenger meets; `key` tells it from the same number in another registry."""

    register: config.Register
    model_uri: str
    key: str


def fetch_champion(config: Seat, context: Context) -> artifacts.Champion:
    """The step: its files, checked against the registered digests, and where it came from."""
    uri = tracking_uri(config.register, context.root)
    folder = fetch_model(config.model_uri, uri, context.folder)
    with service(uri):
        name, _, version = config.model_uri.removeprefix("models:/").partition("/")
        tags = connect(uri).get_model_version(name, version).tags
    places = {key: _place(tags, key, config.model_uri) for key in ("data_uri", "samples_uri")}
    is_exact = tags["is_exact"] == "true"
    return artifacts.Champion(
        str(folder), config.model_uri, is_exact, **places, normaliser_uri=tags.get("normaliser_uri", "")
    )


def _place(tags: Mapping[str, str], key: str, model_uri: str) -> str:
    """What the champion left behind is needed to judge another by."""
    if key not in tags:
        raise UsageError(f"{model_uri} does not say where its data are: give the alias to one that `run` made since")
    try:
        open_store(tags[key], writable=False)
    except StorageError as error:
        raise StorageError(f"{error}; the champion {model_uri} cannot be judged by without it") from error
    return tags[key]


def require_intact(champion: artifacts.Champion) -> None:
    """Compare what the champion left behind with what its run published; `StorageError` names what differs."""
    folders = [Path(uri) for uri in (champion.data_uri, champion.normaliser_uri) if uri]
    steps = (published.Published(published.read(folder), folder, folder.parent.parent) for folder in folders)
    flaws = [*(flaw for step in steps for flaw, _ in step.flaws()), flaw_of_store(champion.samples_uri, None, True)]
    flaw = next(filter(None, flaws), None)
    if flaw:
        raise StorageError(f"{flaw}; restore it: the champion {champion.model_uri} cannot be compared without it")
