"""Which losses of workers are borne: a node may be lost any number of times, but what takes its worker down wherever it
runs must end in a line.
"""

from collections import defaultdict
from collections.abc import Collection

from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, RayError, WorkerCrashedError

from scorefleet.tasks.errors import ServiceError

LOST = (RayActorError, OutOfMemoryError, NodeDiedError, WorkerCrashedError)
"""What Ray raises where a worker is no more, or cannot be reached."""

MAX_LOSSES = 8
"""Workers that one piece of work may lose on nodes that live on."""


class Losses:
    """Of each piece of work, the nodes on which it has lost its worker since it was last done."""

    def __init__(self) -> None:
        self._nodes: defaultdict[str, list[str | None]] = defaultdict(list)

    def forget(self, work: str) -> None:
        """It is done."""
        self._nodes.pop(work, None)

    def add(self, work: str, node: str | None, error: RayError, living: Collection[str]) -> None:
        """`ServiceError` where that was once too often, or where trying again is of no use.

        `node` is None where it is not known; such losses count. Losses on a node that has died since do not: that
        they were its own doing is known only later, and so it is asked anew of all of them each time.
        """
        if isinstance(error, RayActorError) and error.actor_init_failed:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise ServiceError(f"a worker could not start ({lines[-1][:300]}): fix this and rerun the command")
        self._nodes[work].append(node)
        num_lost = sum(place is None or place in living for place in self._nodes[work])
        if num_lost >= MAX_LOSSES:
            raise ServiceError(
                f"{work} has lost its worker {num_lost} times on nodes that are well: {cause_of(error)}; what is "
                "committed is kept; fix this and run the same command to resume"
            )


def cause_of(error: RayError) -> str:
    """The likely one."""
    if isinstance(error, OutOfMemoryError) or "memory monitor" in str(error):
        return "it needs more memory than its node has"
    return "its process was killed, most often for want of memory (dmesg says so), or ended by the density's own code"
