"""What the search for modes found in a store's draws, and what no search that ran could have found."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from scorefleet.tasks import config
from scorefleet.tasks.judging.modes_visited import Visited
from scorefleet.tasks.mcmc.warmup import frozen
from scorefleet.tasks.mcmc.warmup.modes import FARTHEST, NUM_CLIMBS
from scorefleet.tasks.mcmc.warmup.warmup import MOST_DENSE
from scorefleet.tasks.sampling.sample_target import NUM_WARM, PROBES, read_warm
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.user_code import density

MOST_ROWS = 20_000


def visits(store: SampleStore, position: Float[np.ndarray, "chain draw dim"]) -> tuple[Visited, ...]:
    """Of every mode that the warm-up found; none where there is one, or it did not look."""
    arrays = read_warm(store.uri)
    modes = frozen.modes_from_arrays(arrays)
    if modes is None or len(modes.share) == 1:
        return ()
    support = density.support_of(config.Chains(**store.description()["config"]))
    rows = position.reshape(-1, position.shape[2])
    x = torch.tensor(rows[:: -(-len(rows) // MOST_ROWS)], dtype=torch.float64)  # a copy: Arrow's is read-only
    mode = modes.of(frozen.from_arrays(arrays).coordinates.to_white(support.to_free(x)))
    drawn = torch.bincount(mode, minlength=len(modes.share)).double() / len(mode)
    return tuple(Visited(*pair) for pair in zip(modes.share.tolist(), drawn.tolist(), strict=True))


def not_tested(description: dict[str, Any]) -> tuple[str, ...]:
    """What a verdict of converged leaves open."""
    dim, num_levels = description["dim"], description["config"]["num_levels"]
    unseen = "R-hat cannot detect modes that no chain visited"
    if dim > MOST_DENSE:
        searched = f"and no search for other modes ran, which more than {MOST_DENSE} coordinates are too many for"
    else:
        probed = f" and at {PROBES * num_levels:,} scattered points" if num_levels > 1 else ""
        searched = (
            f"other modes were looked for from {NUM_WARM} heated chains{probed}, and by {NUM_CLIMBS[0]} climbs from up "
            f"to {FARTHEST:.0f} widths away, which can miss modes that are narrow or far"
        )
    remedy = (
        ""
        if num_levels > 1
        else " If the density may be multimodal, --num_levels 8 adds a tempering ladder and looks at more points."
    )
    return (f"Not tested: {unseen}; {searched}.{remedy}",)
