"""The tiny density at a pace: a block's chains take PACE_S a step, so that a command can be stopped in their midst."""

import os
import time

from tests import tiny_density

BLOCK_SIZE = 16
"""Only blocks of chains are that many points, so that checks and warm-up go at their own pace."""


def log_density(x):
    if len(x) == BLOCK_SIZE:
        time.sleep(float(os.environ.get("PACE_S", "0")))
    return tiny_density.log_density(x)
