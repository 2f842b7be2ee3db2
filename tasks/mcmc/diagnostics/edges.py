"""Whether draws thin out towards the ends of a coordinate, or stop where they are as frequent as further in.

Chains that a neck narrows without end stop where it is too narrow for their steps: the draws end in an edge rather than
in a tail. With quantiles `q(p)`, `(q(4p) - q(p))/(q(16p) - q(4p))` is 1 for an exponential tail, more for heavier ones,
.73 to .80 for a normal one and 1/4 for an edge, behind which the density is as high as before it.
"""

import numpy as np
from jaxtyping import Float

LEVELS = (0.0125, 0.003125)
EDGE = 0.4
"""Below this a coordinate ends in an edge; posteriors of eight schools with a proper prior had .59 or more, and with a
flat prior on the log of the scale .29 or less."""


def thinning_out(x: Float[np.ndarray, "row dim"]) -> float:
    """Return the least ratio over coordinates, both of their ends and `LEVELS`; NaN where draws are equal there."""
    ratios = []
    for side in (x, -x):
        for level in LEVELS:
            near, middle, inner = np.quantile(side, (level, 4 * level, 16 * level), axis=0)
            with np.errstate(all="ignore"):  # equal quantiles, which have no ratio
                ratios.append((middle - near) / (inner - middle))
    return float(np.min(ratios))
