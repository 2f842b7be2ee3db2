"""Where the steps run."""

import re
from dataclasses import dataclass

from scorefleet.tasks.config.allowed import require

AUTO = "auto"
ADDRESS = re.compile(rf"{AUTO}|([\w.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{{1,5}})")


@dataclass(frozen=True)
class Cluster:
    """Where the steps run."""

    address: str | None = None
    """HOST:PORT of the head of a running Ray cluster, or auto for that of this machine; a Ray of its own when not
    given."""
    num_cpus: int | None = None
    """CPUs that a Ray of its own offers; those of this machine when not given."""
    num_actors: int | None = None
    """Ray actors that advance blocks of chains; one a GPU, else one a CPU, when not given; 0 for no Ray at all:
    everything, training too, in this process. Changes no draw."""

    @property
    def has_own_ray(self) -> bool:
        """Whether a Ray of its own is started."""
        return self.address is None and self.num_actors != 0

    def __post_init__(self) -> None:
        match = ADDRESS.fullmatch(AUTO if self.address is None else self.address)
        is_place = match is not None and int(match["port"] or 0) < 2**16
        require(is_place, "cluster.address", self.address, "HOST:PORT, such as 10.0.0.10:6379, or auto")
        require(self.num_cpus is None or self.num_cpus >= 1, "cluster.num_cpus", self.num_cpus, "at least 1")
        is_count = self.num_actors is None or self.num_actors >= (1 if self.address else 0)
        allowed = "at least 1 on a cluster, and 0 or more without cluster.address"
        require(is_count, "cluster.num_actors", self.num_actors, allowed)
