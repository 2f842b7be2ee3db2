"""Prepares and trains, slowly:
`python -m tests.clusters.train_on ROOT NUM_WORKERS NUM_STEPS CHECKPOINT_EVERY MAX_FAILURES`,
with the ADDRESS of a cluster behind it for that.

What each worker does at its start is a file of `ROOT/attempts`, and all hurry when there is `ROOT/hurry`.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from scorefleet.tasks.errors import UserError
from scorefleet.tasks.fleet.secure import secure_ray

PACE_S, BATCH_SIZE = 0.2, 60


class Attempt(NamedTuple):
    """A worker that has started, and the steps that it has behind it."""

    rank: int
    world_size: int
    first: int
    pid: int


def attempts(root: Path) -> list[Attempt]:
    """All of them, in the order in which they started."""
    paths = sorted((root / "attempts").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [Attempt(*json.loads(path.read_text())) for path in paths]


def train_worker(job: dict[str, Any]) -> int | None:
    """The real one, which waits a little before each step."""
    import ray.train

    from scorefleet.tasks.training import ray_worker, steps

    root, real_begin, real_draw = Path(job["data"]).parents[1], ray_worker.RayPlace.begin, steps.draw_batch
    context = ray.train.get_context()

    def begin(place: ray_worker.RayPlace, first: int) -> None:
        told = Attempt(context.get_world_rank(), context.get_world_size(), first, os.getpid())
        part = root / "attempts" / f"{time.time_ns()}-{told.rank}"
        part.write_text(json.dumps(told))
        part.rename(part.with_suffix(".json"))
        real_begin(place, first)

    def draw(*what: Any, **more: Any) -> Any:
        if not (root / "hurry").exists():
            time.sleep(PACE_S)
        return real_draw(*what, **more)

    ray_worker.RayPlace.begin, steps.draw_batch = begin, draw
    return ray_worker.train_worker(job)


def main(
    root: str, num_workers: str, num_steps: str, checkpoint_every: str, max_failures: str, address: str | None = None
) -> int:
    """The exit code of the command, and its line, as those of `scorefleet run`."""
    secure_ray(is_own=address is None)
    from scorefleet.pipelines import train_and_sample
    from scorefleet.tasks import config
    from scorefleet.tasks.config import commands
    from scorefleet.tasks.dag.dag import Pipeline
    from scorefleet.tasks.records.journal import Journal
    from scorefleet.tasks.training import ray_trainer

    ray_trainer.train_worker, ray_trainer.MAX_FAILURES = train_worker, int(max_failures)
    settings = config.Train(
        num_workers, int(num_steps), BATCH_SIZE, width=16, dropout=0.0, checkpoint_every=int(checkpoint_every)
    )
    run = commands.Run(
        root=root,
        prepare=config.Prepare("sklearn:wine"),
        train=settings,
        cluster=config.Cluster(address=address, num_cpus=None if address else 2),
    )
    (Path(root) / "attempts").mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline.of(train_and_sample.steps(run)[:2], run)
    journal = Journal(Path(root) / "journal.jsonl")
    try:
        prepared = pipeline.execute("prepare", {}, journal).artifact
        pipeline.execute("train", {"prepare": prepared}, journal)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
