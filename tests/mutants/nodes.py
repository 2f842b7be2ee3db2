"""Bugs in training on workers and nodes that come and go."""

from tests.mutants.mutant import Mutant

FAILURES = "tests/unit/test_train_failures.py"
NODES = "tests/clusters/test_training_nodes.py"
NOTICES = "tests/unit/test_notices.py"
OPTIONS = "tests/unit/test_options.py"
OWN_RAY = "tests/clusters/test_own_ray.py"
PARALLEL = "tests/integration/test_parallel_losses.py"
TRAINING = "tests/unit/test_training.py"
WATCH = "tests/unit/test_watch.py"

_CONFIG = "tasks/config/train.py"
_NOTICES = "tasks/training/preemption.py"
_PARTS = "tasks/ebm/parts.py"
_SOCKETS = "tasks/training/sockets.py"
_TRAIN = "tasks/training/ray_trainer.py"
_TRAINING = "tasks/ebm/training.py"
_WATCH = "tasks/training/watch.py"
_RECORDER = "tasks/training/recorder.py"
_WORKER = "tasks/training/ray_worker.py"

MUTANTS = (
    Mutant("workers of few rows count as much", _TRAINING, "len(mine.x) * world_size / num_rows", "1.0", (PARALLEL,)),
    Mutant(
        "workers draw their own numbers",
        _PARTS,
        "normal(self.num_rows,",
        "normal(shape[0] * self.world_size,",
        (TRAINING,),
    ),
    Mutant("one to none are workers", _CONFIG, "1 <= least <= most", "1 <= least", (OPTIONS,)),
    Mutant("fast for once, never asked again", _NOTICES, "min(2 * num_steps, ", "min(10**9, ", (NOTICES,)),
    Mutant("a bug is called a loss", _TRAIN, "if isinstance(cause, RayActorError)", "", (FAILURES,)),
    Mutant("repeated steps are recorded again", _RECORDER, "if (key, step) not in self._recorded", "if key", (WATCH,)),
    Mutant("nobody says why nothing comes", _WATCH, "self._silent()", "pass", (WATCH,)),
    Mutant(
        "who speaks is called silent",
        _WATCH,
        "if messages:\n            self._heard =",
        "if messages:\n            _ =",
        (WATCH,),
    ),
    Mutant("workers talk by their hosts' names", _TRAIN, "        torch_config=OwnAddress(),\n", "", (NODES,)),
    Mutant("workers meet everywhere", _SOCKETS, "create_server((address, 0)", 'create_server(("", 0)', (OWN_RAY,)),
    Mutant("what was told last is lost", _WORKER, "for message in self._told:", "for message in ():", (NODES,)),
    Mutant("restarts begin at the beginning", _WORKER, "if last is None:", "if last is None or True:", (NODES,)),
)
