"""Runs named steps in order, skips what is already published, resumes what is not."""

from dataclasses import dataclass
from pathlib import Path

from tasks import config
from tasks.tracking import Journal


@dataclass(frozen=True)
class Context:
    """What every step receives beside its own slice of the configuration and the artifacts of earlier steps."""

    key: str
    folder: Path
    name: str
    seed: int
    root: Path
    cluster: config.Cluster
    journal: Journal
