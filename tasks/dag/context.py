"""What every step receives beside its own slice of the configuration and the artifacts of earlier steps."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scorefleet.tasks import config
from scorefleet.tasks.records.journal import Journal


@dataclass(frozen=True)
class Context:
    """`key` names the step's result, and `folder` is where its files go; `name` is that of the run and its model;
    `place` is where its draws go, a folder or bucket, when that is not in its folder; `reads` is the digest, in `key`,
    of what the step reads from outside; `resolved` takes the keys of the configuration that the step chose, for the
    record.
    """

    key: str
    folder: Path
    name: str
    seed: int
    root: Path
    cluster: config.Cluster
    journal: Journal
    place: str | None = None
    reads: str | None = None
    resolved: dict[str, Any] = field(default_factory=dict[str, Any])

    def resolve(self, section: str, config: Any) -> None:
        """Record a section of the configuration as the step uses it."""
        self.resolved.update({f"{section}.{key}": value for key, value in dataclasses.asdict(config).items()})

    @property
    def draws(self) -> str:
        """The store of the step's draws."""
        return self.place or str(self.folder / "draws")
