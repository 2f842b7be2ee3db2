"""A data-parallel worker of Ray Train."""

import json
import secrets
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train import Checkpoint
from ray.train.torch import get_device

from scorefleet.tasks.training.preemption import Notices
from scorefleet.tasks.training.recorder import Message
from scorefleet.tasks.training.steps import Place, train_steps

CHECKPOINT, TOLD = "checkpoint.safetensors", "told.json"
NUM_TOLD = 100  # messages of far more than the second after which the driver has them in its journal


def train_worker(job: dict[str, Any]) -> int | None:
    """All steps from the last checkpoint on; the step before which training diverged, if it did."""
    return train_steps(job, RayPlace(job["mailbox"]))


class RayPlace(Place):
    """A checkpoint has what was told last, for a driver that was killed before it had written that down."""

    def __init__(self, mailbox: Any):
        context = ray.train.get_context()
        self.rank, self.size, self.device = context.get_world_rank(), context.get_world_size(), get_device()
        self._mailbox = mailbox
        self._told: deque[Message] = deque(maxlen=NUM_TOLD)
        self._notices = Notices(0)

    def last(self) -> bytes | None:
        """The last checkpoint of the run."""
        last = ray.train.get_checkpoint()
        if last is None:
            return None
        with last.as_directory() as folder:
            self._told.extend((step, metrics) for step, metrics in json.loads((Path(folder) / TOLD).read_bytes()))
            return (Path(folder) / CHECKPOINT).read_bytes()

    def begin(self, first: int) -> None:
        """Tell again what was told last, and count steps from here on."""
        if self.rank == 0:
            for message in self._told:
                self._mailbox.put.remote(*message)
        self._notices = Notices(first)

    def tell(self, step: int, metrics: dict[str, float], wait: bool = False) -> None:
        """Leave the metrics in the mailbox."""
        self._told.append((step, metrics))
        put = self._mailbox.put.remote(step, metrics)
        if wait:
            ray.get(put)

    def is_going(self, step: int) -> bool:
        """Whether Ray Train has had notice of a node since the last question."""
        return self._notices.came(step)

    def save(self, step: int, checkpoint: bytes | None) -> None:
        """Report the checkpoint."""
        if checkpoint is None:
            ray.train.report({"step": step})
            return
        name = f"step-{step:08}-{secrets.token_hex(4)}"  # a worker that was cut off may still write one of this step
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / CHECKPOINT).write_bytes(checkpoint)
            (Path(folder) / TOLD).write_text(json.dumps(list(self._told)), encoding="utf-8")
            kept = Checkpoint.from_directory(folder)
            ray.train.report({"step": step}, checkpoint=kept, checkpoint_dir_name=name)
