import math

import numpy as np

from scorefleet.tasks.mcmc.diagnostics.diagnostics import nested_rhat
from scorefleet.tasks.mcmc.diagnostics.moments import join, moments_of

NUM_DRAWS, NUM_CHAINS, DIM = 32, 12, 3


def drawn(seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(NUM_DRAWS, NUM_CHAINS, DIM)) + shift


def test_moments_of_segments_are_nested_rhat_of_all_pieces():
    far = 1e6 * np.array([1.0, 0.0, 0.0])  # squares of means would have lost all digits of their variance
    segments = [drawn(seed, far) for seed in range(5)]
    segments[3][:, 4, 2] += 3.0
    joined = None
    for x in segments:
        joined = join(joined, moments_of(x))
    assert joined is not None
    pieces = np.concatenate(segments, 1)
    each = [nested_rhat(pieces[:, :, k].T, np.arange(pieces.shape[1])) for k in range(DIM)]
    assert joined.num_pieces == 5 * NUM_CHAINS
    assert math.isclose(joined.worst_rhat or 0, max(each), rel_tol=1e-9)
    assert each.index(max(each)) == 2


def test_a_chain_apart_and_a_chain_that_drifts_are_seen():
    """Independent draws of n = 32 give sqrt(1 + 1/32) = 1.016; one chain of twelve two deviations off adds
    4 (11/144) to B, so 1.15 or more.
    """
    apart, drifting = drawn(0), drawn(1)
    apart[:, 0] += 2.0
    whole = join(moments_of(drifting), moments_of(drawn(2, 2.0)))
    assert whole is not None
    assert (moments_of(apart) or whole).worst_rhat > 1.12
    assert (whole.worst_rhat or 0) > 1.3
    assert (moments_of(drawn(3)) or whole).worst_rhat < 1.05


def test_what_says_nothing_is_nothing():
    assert moments_of(drawn(0)[:3]) is None
    one = moments_of(drawn(0)[:, :1])
    assert one is not None
    assert one.worst_rhat is None
    still = moments_of(np.ones((NUM_DRAWS, NUM_CHAINS, DIM)))
    assert still is not None
    assert still.worst_rhat is None
    assert join(None, None) is None
