"""What every step receives beside its own slice of the configuration and the artifacts of earlier steps."""

from dataclasses import dataclass
from pathlib import Path

from tasks import config
from tasks.journal import Journal


@dataclass(frozen=True)
class Context:
    """`key` names the step's result, and `folder` is where its files go; `name` is that of the run and its model;
    `place` is where its draws go, a folder or bucket, when that is not in its folder; `reads` is the digest, in
    `key`, of what the step reads from outside.
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

    @property
    def draws(self) -> str:
        """The store of the step's draws."""
        return self.place or str(self.folder / "draws")
