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
    """Ray actors that advance blocks of chains; one a GPU, else one a CPU, when not given. Changes no draw."""

    def __post_init__(self) -> None:
        match = ADDRESS.fullmatch(AUTO if self.address is None else self.address)
        is_place = match is not None and int(match["port"] or 0) < 2**16
        require(is_place, "cluster.address", self.address, "HOST:PORT, such as 10.0.0.10:6379, or auto")
        for key in ("num_cpus", "num_actors"):
            value = getattr(self, key)
            require(value is None or value >= 1, f"cluster.{key}", value, "at least 1")
