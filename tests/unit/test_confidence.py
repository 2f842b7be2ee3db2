"""What an audit says is true as often as it says."""

import math

import numpy as np
import pytest

from scorefleet.tasks.store.confidence import all_right, fewest_excluded


@pytest.mark.parametrize(("num_shards", "num_wrong", "num_chosen"), [(20, 3, 5), (100, 7, 30), (50, 0, 10), (9, 9, 1)])
def test_the_probability_is_that_of_simulated_choices(num_shards, num_wrong, num_chosen):
    """100,000 choices: within 4.9 standard errors, which chance exceeds once in a million."""
    random, num_trials = np.random.default_rng(0), 100_000
    order = random.random((num_trials, num_shards)).argsort(1)[:, :num_chosen]
    seen = float((order >= num_wrong).all(1).mean())
    expected = all_right(num_shards, num_wrong, num_chosen)
    assert abs(seen - expected) <= 4.9 * math.sqrt(expected * (1 - expected) / num_trials)


@pytest.mark.parametrize(("num_shards", "num_chosen"), [(9, 2), (100, 10), (1000, 59), (12345, 300)])
def test_the_excluded_number_is_the_smallest_that_would_have_shown_itself(num_shards, num_chosen):
    excluded = fewest_excluded(num_shards, num_chosen)
    assert all_right(num_shards, excluded, num_chosen) <= 0.05 < all_right(num_shards, excluded - 1, num_chosen)


def test_many_shards_follow_the_power_law():
    """(1 - q)^59 <= .05 first at q = .0495."""
    assert fewest_excluded(10**6, 59) / 10**6 == pytest.approx(1 - 0.05 ** (1 / 59), rel=1e-3)


def test_all_shards_leave_no_doubt_and_none_leave_all():
    assert fewest_excluded(40, 40) == 1
    assert fewest_excluded(40, 0) is None
