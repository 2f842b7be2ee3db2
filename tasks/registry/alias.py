"""The alias of a registered model, which names its champion: who has it, and how it moves.

It moves under a lock, and only from the version that was judged against; what is recorded of a move is recorded before
it. So of two ticks at once one moves it, and one that was killed is finished by the next.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scorefleet.tasks import config
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.records.tracking_server import connect, is_made, service, tracking_uri
from scorefleet.tasks.registry.registry import require_made
from scorefleet.tasks.store.locks import locked

if TYPE_CHECKING:
    from mlflow import MlflowClient

FORMER_TAG, ROLLED_BACK_TAG = "former_champion", "rolled_back"


@dataclass(frozen=True)
class Registry:
    """One registered model, on the server of the configuration."""

    register: config.Register
    name: str
    root: Path

    @property
    def uri(self) -> str:
        return tracking_uri(self.register, self.root)

    @property
    def lock(self) -> Path:
        """Held while the alias is read and moved."""
        return self.root / "retrain" / f"{self.name}.alias.lock"


def champion_of(client: "MlflowClient", name: str, alias: str) -> str | None:
    """The number of the version that has the alias; None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        version = client.get_registered_model(name).aliases.get(alias)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return None if version is None else str(version)


def find(registry: Registry) -> tuple[str, Mapping[str, str]] | None:
    """Number and tags of the champion; None where there is none."""
    if not is_made(registry.uri):
        return None
    with service(registry.uri):
        client = connect(registry.uri)
        version = champion_of(client, registry.name, registry.register.alias)
        return None if version is None else (version, client.get_model_version(registry.name, version).tags)


def promote(registry: Registry, expected: str, version: str) -> str:
    """Give the alias to `version` if `expected` has it still; the version that has it then."""
    with locked(registry.lock), service(registry.uri):
        client, alias = connect(registry.uri), registry.register.alias
        now = champion_of(client, registry.name, alias)
        tags = client.get_model_version(registry.name, version).tags
        if now != expected or ROLLED_BACK_TAG in tags:
            return str(now)
        client.set_model_version_tag(registry.name, version, FORMER_TAG, expected)
        client.set_registered_model_alias(registry.name, alias, version)
        return version


def rollback(registry: Registry) -> tuple[str, str, Mapping[str, str]]:
    """Give the alias back to the former champion: the version that lost it, the one that has it, and its tags."""
    require_made(registry.name, registry.uri)
    with locked(registry.lock), service(registry.uri):
        client, alias = connect(registry.uri), registry.register.alias
        now = champion_of(client, registry.name, alias)
        if now is None:
            raise UsageError(f"model {registry.name!r} has no alias {alias!r}: there is nothing to roll back")
        former = client.get_model_version(registry.name, now).tags.get(FORMER_TAG)
        if former is None:
            raise UsageError(f"models:/{registry.name}/{now} is the first champion: there is none to go back to")
        tags = client.get_model_version(registry.name, former).tags
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        client.set_model_version_tag(registry.name, now, ROLLED_BACK_TAG, when)
        client.set_registered_model_alias(registry.name, alias, former)
        return now, former, tags
