"""How chains sample a user's own density."""

from dataclasses import dataclass
from typing import Literal

from scorefleet.tasks.config.allowed import (
    LARGEST_BLOCK,
    LARGEST_COUNT,
    LARGEST_DRAWS,
    is_function,
    require,
    require_function,
)
from scorefleet.tasks.config.support import parse as parse_support

RESERVED = {"accepted", "chain", "data", "draw", "log_density", "position", "superchain"}
"""Columns of ours beside the coordinates, and the argument that data come by."""

POINTS_FILES = (".npy", ".csv", ".parquet")


def is_points_file(init: str) -> bool:
    """Whether `--init` names a file, by its ending."""
    return init.endswith(POINTS_FILES)


@dataclass(frozen=True)
class Chains:
    """Chains over a user's own density."""

    target: str = ""
    """MODULE:FUNCTION of the log density: points [chain, dim] in float64 -> nats [chain], differentiable."""
    dim: int = 0
    """Coordinates of a point; as many as `support` has when not given."""
    support: str = "real"
    """Where points live: real, positive, box(LOW, HIGH), above(LOW), below(HIGH), simplex, ordered, unit_vector, each
    with *COUNT, as in 'real*25, positive'; or named blocks, as in 'beta[8]: real, tau: positive, L[3,3]:
    correlation_cholesky', which the function then takes by their names."""
    names: tuple[str, ...] = ()
    """What the coordinates are called: [alpha, beta, sigma]; x[0], x[1], ... when not given. Blocks have names."""
    data: str | None = None
    """FILE that the function gets as `data`: a table as a dict of column: tensor, a .npy file as a tensor."""
    kernel: Literal["hmc", "mala", "lecture_mala", "random_walk", "gibbs", "langevin"] = "hmc"
    """How chains move; langevin alone has no Metropolis test, and its draws are marked as not exact."""
    metric: Literal["auto", "dense", "diagonal"] = "auto"
    """The preconditioning that the warm-up learns; auto is dense up to 500 coordinates and diagonal beyond."""
    num_chains: int = 256
    """Independent chains."""
    num_draws: int = 1000
    """Draws that each chain keeps."""
    burn_in: int = 100
    """Steps of each chain after the warm-up and before the first kept draw."""
    thinning: int = 1
    """Steps between two kept draws of a chain."""
    block_size: int = 64
    """Chains that advance together; part of the run's identity, since it fixes the random streams."""
    num_levels: int = 1
    """Levels of a tempering ladder from a wide Gaussian to the density, whose replicas change places, so that chains
    cross between separate modes; 1 is no ladder, and each level costs as much as the chains without one."""
    log_z: bool = False
    """Estimate log Z, the log of the integral of exp(log density) over the support, with a confidence interval."""
    init: str | None = None
    """Points [n, dim] where chains start: FILE.npy, FILE.csv, FILE.parquet, or MODULE:FUNCTION that returns them; when
    not given, points with a finite density are looked for."""

    @property
    def labels(self) -> list[str]:
        """What each coordinate is called."""
        parts = parse_support(self.support, self.dim)
        if parts[0].name:
            return [label for part in parts for label in part.labels]
        return list(self.names) or [f"x[{k}]" for k in range(self.dim)]

    def __post_init__(self) -> None:
        is_init = self.init is None or is_points_file(self.init) or is_function(self.init)
        require(is_init, "init", self.init, f"a file ({', '.join(POINTS_FILES)}) or MODULE:FUNCTION")
        require_function(self.target, "target", "posterior:log_density")
        parts = parse_support(self.support, self.dim)
        object.__setattr__(self, "dim", sum(part.size for part in parts))
        is_named = len(self.names) == self.dim and all(self.names) and not parts[0].name
        allowed = f"{self.dim} names, one for each coordinate, and none where blocks have names"
        require(is_named or not self.names, "names", list(self.names), allowed)
        given = list(self.names) or [part.name for part in parts if part.name]
        called = {name.lower() for name in given}  # as readers without case see it
        is_free = len(called) == len(given) and not called & RESERVED
        require(is_free, "names", given, f"different, whatever their case, and none of {', '.join(sorted(RESERVED))}")
        for key in ("dim", "num_chains", "num_draws", "thinning", "block_size"):
            require(1 <= getattr(self, key) < LARGEST_COUNT, key, getattr(self, key), "at least 1 and below 2^48")
        require(self.num_draws < LARGEST_DRAWS, "num_draws", self.num_draws, "below 2^31")
        require(self.block_size <= LARGEST_BLOCK, "block_size", self.block_size, f"at most {LARGEST_BLOCK:,}")
        require(self.burn_in >= 0, "burn_in", self.burn_in, "0 or more")
        is_ladder = self.num_levels == 1 or self.num_levels >= 3
        require(is_ladder, "num_levels", self.num_levels, "1, which is no ladder, or at least 3")
