"""Points far around what chains know, and which of them a climb should start from.

A narrow mode shows in two ways among points at the same distance: by a score that is much larger, and by a density that
is higher. Distances are compared within bins, since both change with distance on any density.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target
from scorefleet.tasks.mcmc.streams import Random, Stream

NUM_BINS, FROM_EACH, AT_ONCE = 24, 2, 4096


def scattered(random: Random, num_rows: int, dim: int, low: float, high: float) -> Float[Tensor, "row dim"]:
    """Draws of `N(0, s^2 I)`, s log-uniform on (low, high)."""
    scale = low * (high / low) ** random.uniform(num_rows, 1)
    return scale * random.normal(num_rows, dim).double()


def outstanding(state: State) -> Int[Tensor, " row"]:
    """Rows of the largest scores and of the highest densities among those at about the same distance from 0."""
    is_finite = state.value.isfinite() & state.score.isfinite().all(1)
    log_radius = state.x.norm(dim=1).log() - 0.5 * math.log(state.x.shape[1])
    bins = (NUM_BINS * (log_radius + 1) / 5).floor().clamp(0, NUM_BINS - 1)
    chosen = []
    for k in bins.unique():
        rows = ((bins == k) & is_finite).nonzero()[:, 0]
        for by in (state.score.norm(dim=1), state.value):
            chosen.append(rows[by[rows].topk(min(FROM_EACH, len(rows))).indices])
    return torch.cat(chosen).unique()


def probe(stream: Stream, phase: int, target: Target, pool: State, num_rows: int, low: float, high: float) -> State:
    """The outstanding ones of `pool` and of `num_rows` scattered points, which are evaluated some at a time."""
    for k in range(-(-num_rows // AT_ONCE)):
        x = scattered(stream.at(phase, k), AT_ONCE, pool.x.shape[1], low, high)
        both = zip(pool, metropolis.init(x, target), strict=True)
        joined = State(*(torch.cat(parts) for parts in both))
        pool = State(*(part[outstanding(joined)] for part in joined))
    return pool
