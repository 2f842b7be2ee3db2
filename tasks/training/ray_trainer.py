"""Training by Ray Train: workers that are lost are started anew, as many as the cluster has room for within
`train.num_workers`, and go on from the last checkpoint.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ray.exceptions import RayActorError
from ray.train import (
    CheckpointConfig,
    ControllerError,
    FailureConfig,
    Result,
    RunConfig,
    ScalingConfig,
    WorkerGroupError,
)
from ray.train.torch import TorchTrainer

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import CHECKPOINTS
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.errors import ServiceError
from scorefleet.tasks.fleet import cluster
from scorefleet.tasks.fleet.one_line import line_of
from scorefleet.tasks.training.ray_worker import CHECKPOINT, train_worker
from scorefleet.tasks.training.recorder import Recorder
from scorefleet.tasks.training.sockets import OwnAddress
from scorefleet.tasks.training.watch import Watch, mailbox_here

MAX_FAILURES = 8
LOOK_EVERY_S = 30.0
"""Between two looks whether more workers would have room; each time that they have, all start anew."""
GRACE_S = 20.0
"""How long after its deadline a node may be seen to be gone, before workers start anew on those that are seen."""


def fit(config: config.Train, context: Context, settings: dict[str, Any]) -> bytes | int:
    """The last checkpoint, or the step before which training diverged."""
    cluster.connect(context.cluster)
    require_room = partial(cluster.require_cpus, config.workers[0], "train.num_workers")
    require_room()
    assert config.num_steps is not None
    mailbox, recorder = mailbox_here(), Recorder(config.num_steps, context.journal)
    with Watch(mailbox, recorder, require_room), interruptible():
        result = _fitted(_trainer(config, context, settings | {"mailbox": mailbox}))
    if result.return_value is not None:
        return result.return_value
    assert result.checkpoint is not None
    with result.checkpoint.as_directory() as folder:
        return (Path(folder) / CHECKPOINT).read_bytes()


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C is KeyboardInterrupt, within and afterwards: Ray Train answers it by a handler of its own, which aborts
    training, ends the process by SystemExit, and would stay when training has ended.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _trainer(config: config.Train, context: Context, settings: dict[str, Any]) -> TorchTrainer:
    least, most = config.workers
    return TorchTrainer(
        train_worker,
        train_loop_config=settings,
        torch_config=OwnAddress(),
        scaling_config=ScalingConfig(
            num_workers=least if least == most else (least, most),
            use_gpu=cluster.num_gpus() >= least,
            elastic_resize_monitor_interval_s=LOOK_EVERY_S,
        ),
        run_config=RunConfig(
            name=CHECKPOINTS,  # the folder is named by the step's key, so this can never meet another run's checkpoints
            storage_path=str(context.folder),
            failure_config=FailureConfig(max_failures=MAX_FAILURES, preemption_grace_s=GRACE_S),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
        ),
    )


def _fitted(trainer: TorchTrainer) -> Result:
    """What training ends with; one line where more workers were lost than are started anew, or none could start."""
    try:
        return trainer.fit()
    except ControllerError as error:
        what, cause = "could not start its workers", error.controller_failure
    except WorkerGroupError as error:
        causes = [getattr(failure, "health_check_failure", failure) for failure in error.worker_failures.values()]
        lost = [cause for cause in causes if isinstance(cause, RayActorError)]
        if not lost:
            raise
        what, cause = f"lost its workers {MAX_FAILURES + 1} times", lost[0]
    raise ServiceError(
        f"training {what} ({line_of(cause)}): run the same command to resume from the last checkpoint"
    ) from cause
