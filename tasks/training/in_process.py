"""Training by one worker in this process: no Ray Train, and the same bytes as with one worker."""

from pathlib import Path
from typing import Any

import torch

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import CHECKPOINTS
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.fleet.hardware import own_device
from scorefleet.tasks.fleet.in_process import same_threads
from scorefleet.tasks.store import objects
from scorefleet.tasks.training.recorder import Recorder
from scorefleet.tasks.training.steps import Place, train_steps

CHECKPOINT = "in-process.safetensors"


def fit(config: config.Train, context: Context, settings: dict[str, Any]) -> bytes | int:
    """The last checkpoint, or the step before which training diverged."""
    assert config.num_steps is not None
    place = Here(context.folder / CHECKPOINTS, Recorder(config.num_steps, context.journal))
    with same_threads(), torch.random.fork_rng():
        diverged_at = train_steps(settings, place)
    if diverged_at is not None:
        return diverged_at
    last = place.last()
    assert last is not None
    return last


class Here(Place):
    """One worker, whose checkpoint is a file, replaced whole; what it tells is recorded at once."""

    def __init__(self, folder: Path, recorder: Recorder):
        self.rank, self.size, self.device = 0, 1, torch.device(own_device())
        self._folder, self._recorder = folder, recorder
        folder.mkdir(parents=True, exist_ok=True)

    def last(self) -> bytes | None:
        """The file, if there is one."""
        path = self._folder / CHECKPOINT
        return path.read_bytes() if path.exists() else None

    def begin(self, first: int) -> None:
        """Nothing is to be told again: all is in the journal."""

    def tell(self, step: int, metrics: dict[str, float], wait: bool = False) -> None:
        """Record the metrics."""
        self._recorder.record([(step, metrics)])

    def is_going(self, step: int) -> bool:
        """Nobody gives notice to a process of one's own."""
        return False

    def save(self, step: int, checkpoint: bytes | None) -> None:
        """Replace the file."""
        assert checkpoint is not None
        objects.replace(self._folder, CHECKPOINT, checkpoint)
