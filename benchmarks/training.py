"""What Ray Train costs a step: the training step of a run beside the same DDP loop under torchrun.

    python -m benchmarks.training          # two minutes; other work on the machine makes its figures useless

Digits (d = 64), width 512, batch 1,024, two processes of one thread on each side. Both sides are there all the time
and take turns of 20 steps; the first turn of each warms up. What a run does besides stepping is in its turns: losses
for the record every 50 steps, the question for notices every two seconds. Checkpoints are not.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, report
from benchmarks.turns import SEGMENT, SETTINGS, SIDES, Turns, seconds_of
from scorefleet.tasks.fleet.secure import secure_ray

PLAIN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "benchmarks.plain_ddp")


def train_worker(job: dict[str, Any]) -> int | None:
    """The real one, in turns."""
    import ray.train

    from scorefleet.tasks.training import ray_worker, steps

    turns = Turns(Path(job["data"]).parents[2], "Ray Train", ray.train.get_context().get_world_rank())
    draw_batch = steps.draw_batch

    def draw(stream: Any, step: int, *what: Any, **more: Any) -> Any:
        if stream.purpose == "train":
            turns.take(step)
        return draw_batch(stream, step, *what, **more)

    steps.draw_batch = draw
    return ray_worker.train_worker(job)


def main() -> int:
    """The median ratio of neighbouring turns beside the target."""
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}  # as processes of torchrun have it
    secure_ray(is_own=True)
    from scorefleet.pipelines import train_and_sample
    from scorefleet.tasks import config
    from scorefleet.tasks.config import commands
    from scorefleet.tasks.dag.dag import Pipeline
    from scorefleet.tasks.records.journal import Journal
    from scorefleet.tasks.training import ray_trainer

    ray_trainer.train_worker = train_worker
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = commands.Run(
            root=f"{name}/runs",
            prepare=config.Prepare("sklearn:digits"),
            train=SETTINGS,
            cluster=config.Cluster(num_cpus=2),
        )
        pipeline = Pipeline.of(train_and_sample.steps(run)[:2], run)
        journal = Journal(folder / "journal.jsonl")
        data = pipeline.execute("prepare", {}, journal).artifact
        (folder / "turn 0").touch()
        plain = subprocess.Popen(
            [sys.executable, *PLAIN, data.uri, name], env=os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
        )
        try:
            pipeline.execute("train", {"prepare": data}, journal)
            assert plain.wait() == 0
        finally:
            plain.terminate()  # without the other side it would wait for ever
            plain.wait()
        ours, theirs = (seconds_of(folder, side) for side in SIDES)
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    quarter = len(ratios) // 4
    figures = [
        *(
            Figure(f"{side}, ms a step", 1e3 * statistics.median(those) / SEGMENT)
            for side, those in zip(SIDES, (ours, theirs), strict=True)
        ),
        Figure("Ray Train over torchrun, median of turns", statistics.median(ratios), highest=1.03),
        Figure("... lower quartile", ratios[quarter]),
        Figure("... upper quartile", ratios[-1 - quarter]),
        Figure("... sum of turns over sum of turns", sum(ours) / sum(theirs)),
    ]
    return report(f"{len(ratios)} turns of {SEGMENT} steps a side, {os.cpu_count()} processors", figures)


if __name__ == "__main__":
    sys.exit(main())
