import time

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from scorefleet.tasks.mcmc.diagnostics.twosample import classifier_auc, energy_test

ONE_IN_A_MILLION = 1e-6


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def test_energy_distance_is_its_definition():
    a, b = normal(0, 30, 3), normal(1, 40, 3) + 1
    expected = 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()
    assert energy_test(a, b, 0.1, 0).distance == pytest.approx(expected, rel=1e-4)


def test_energy_test_keeps_its_false_alarm_rate():
    """600 pairs of equal law at level .05: alarms beyond what that gives once in a million would fail."""
    num_pairs, level = 600, 0.05
    pairs = normal(2, num_pairs, 2, 40, 2)
    alarms = sum(energy_test(a, b, level, seed).p_value <= level for seed, (a, b) in enumerate(pairs))
    low, high = stats.binom.ppf([ONE_IN_A_MILLION, 1 - ONE_IN_A_MILLION], num_pairs, level)
    assert low <= alarms <= high


def test_energy_test_finds_a_missing_mode():
    """Mode weights .8/.2 against .9/.1 with 1,000 rows each."""
    a, b = normal(3, 1000, 2), normal(4, 1000, 2)
    a[:200, 0] += 6
    b[:100, 0] += 6
    assert energy_test(a, b, 1e-3, 0).p_value < 1e-3


def test_p_value_can_fall_well_below_the_level():
    assert energy_test(normal(5, 100, 2), normal(6, 100, 2) + 3, 1e-3, 0).p_value <= 1e-3 / 3


def test_identical_rows_are_no_evidence_of_a_difference():
    rows = normal(7, 50, 2)
    assert energy_test(rows, rows, 0.01, 0).p_value > 0.5
    assert energy_test(np.ones((20, 2)), np.ones((30, 2)), 0.01, 0).p_value > 0.5


def test_the_same_seed_gives_the_same_p_value():
    a, b = normal(8, 60, 2), normal(9, 60, 2)
    assert energy_test(a, b, 0.01, 3) == energy_test(a, b, 0.01, 3)
    assert energy_test(a, b, 0.01, 3) != energy_test(a, b, 0.01, 4)


def test_far_away_data_lose_no_precision():
    a, b = normal(10, 200, 4), normal(11, 200, 4)
    near, far = energy_test(a, b, 0.01, 0), energy_test(a + 1e5, b + 1e5, 0.01, 0)
    assert far.distance == pytest.approx(near.distance, rel=1e-3)


def test_a_thousand_rows_of_64_columns_take_seconds():
    start = time.monotonic()
    energy_test(normal(12, 1000, 64), normal(13, 1000, 64) + 0.3, 1e-3, 0)
    assert time.monotonic() - start < 10  # one second on two idle cores


def test_classifier_cannot_tell_equal_laws_apart():
    """Over 12 pairs |AUC - .5| has the size that its standard error says: chi-squared, once in a million
    beyond.
    """
    pairs = normal(14, 12, 2, 100, 3)
    results = [classifier_auc(a, b, seed, num_repeats=1) for seed, (a, b) in enumerate(pairs)]
    squares = sum(((auc.value - 0.5) / auc.standard_error) ** 2 for auc in results)
    assert squares < stats.chi2.isf(ONE_IN_A_MILLION, len(results))


def test_classifier_tells_noisy_rows_from_clean_ones():
    clean, noisy = normal(15, 300, 2), normal(16, 400, 2) * 1.7
    auc = classifier_auc(noisy, clean, 0, num_repeats=1)
    assert auc.value - 0.5 > 4 * auc.standard_error
    assert auc.num_rows == 300


def test_auc_of_separate_laws_is_one():
    auc = classifier_auc(normal(17, 60, 2) + 9, normal(18, 60, 2), 0, num_repeats=1)
    assert auc.value == pytest.approx(1)
    assert auc.standard_error == pytest.approx(0)
