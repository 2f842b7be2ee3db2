"""What it says of all shards that some, chosen at random, were right.

If D of N shards were wrong, k chosen without replacement would all be right with the probability (hypergeometric)

    C(N - D, k) / C(N, k) = prod_{i<k} (N - D - i) / (N - i),

which is (1 - q)^k, q = D/N, where N is large.
"""

import numpy as np

CONFIDENCE = 0.95


def all_right(num_shards: int, num_wrong: int, num_chosen: int) -> float:
    """The probability that none of the chosen is wrong."""
    i = np.arange(num_chosen)
    return float(np.prod(np.maximum(num_shards - num_wrong - i, 0) / (num_shards - i)))


def fewest_excluded(num_shards: int, num_chosen: int) -> int | None:
    """The smallest number of wrong shards that would have shown itself with 95 % confidence; None when not even all
    shards wrong would have, as none was chosen.
    """
    if num_chosen == 0:
        return None
    low, high = 1, num_shards
    while low < high:
        middle = (low + high) // 2
        if all_right(num_shards, middle, num_chosen) <= 1 - CONFIDENCE:
            high = middle
        else:
            low = middle + 1
    return low
