"""Starts a fleet where the configuration has it."""

from pathlib import Path
from typing import Any

from scorefleet.tasks import config
from scorefleet.tasks.fleet.fleet import Fleet
from scorefleet.tasks.fleet.worker import Worker


def start_fleet(
    kind: type[Worker],
    arguments: tuple[Any, ...],
    cluster: config.Cluster,
    num_blocks: int,
    working_folder: Path | None = None,
) -> Fleet:
    """Workers of a class, such as `ChainWorker`, for `num_blocks` blocks, wherever the configuration has them: without
    actors there is no Ray. Those of a cluster stand in a copy of `working_folder`.
    """
    if cluster.num_actors == 0:
        from scorefleet.tasks.fleet.in_process import InProcess

        return InProcess(kind, arguments)
    from scorefleet.tasks.fleet.actors import Actors  # which imports Ray
    from scorefleet.tasks.fleet.cluster import connect

    connect(cluster, working_folder)
    return Actors.start(kind, arguments, cluster.num_actors, num_blocks)
