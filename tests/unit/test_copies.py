import numpy as np
import pytest
from scipy import stats

from scorefleet.tasks.mcmc.diagnostics.copies import copy_test, memorisation_test, nearest_distances

ONE_IN_A_MILLION = 1e-6


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def test_nearest_distance_of_a_training_row_is_zero():
    rows = normal(19, 50, 3)
    nearest = nearest_distances(rows[[4, 7]], rows)
    assert nearest.row.tolist() == [4, 7]
    assert nearest.distance == pytest.approx(0, abs=1e-6)


def distances(seed, num_copies=0):
    """Draws and held-out rows to the nearest of 500 training rows; some draws are training rows with a little
    noise.
    """
    train, held_out, draws = normal(seed, 500, 8), normal(seed + 1, 200, 8), normal(seed + 2, 300, 8)
    draws[:num_copies] = train[:num_copies] + 0.1 * draws[:num_copies]
    return nearest_distances(draws, train).distance, nearest_distances(held_out, train).distance


def test_new_draws_are_not_called_copies():
    assert memorisation_test(*distances(5)).p_value > 0.01


def test_memorisation_test_keeps_its_false_alarm_rate():
    """2,000 sets of equal law, with ties, at level .05: more alarms than that gives but once in a million
    would fail.
    """
    sets = np.random.default_rng(20).gamma(8, size=(2000, 120)).round(1)
    alarms = sum(memorisation_test(row[:70], row[70:]).p_value <= 0.05 for row in sets)
    assert alarms <= stats.binom.isf(ONE_IN_A_MILLION, 2000, 0.05)


@pytest.mark.parametrize("num_copies", [300, 30])
def test_copies_are_found_even_when_one_draw_in_ten_is_one(num_copies):
    test = memorisation_test(*distances(5, num_copies))
    assert test.p_value < 1e-4
    assert test.num_closest >= num_copies // 2


def test_closer_share_counts_pairs():
    assert memorisation_test(np.array([1.0, 4.0]), np.array([2.0, 3.0])).closer_share == pytest.approx(0.5)
    assert memorisation_test(np.array([0.0, 1.0]), np.array([2.0, 3.0])).closer_share == pytest.approx(1)


def test_copy_test_keeps_its_false_alarm_rate():
    """100 sets of equal law at level .05: more alarms than that gives but once in a million would fail."""
    sets = normal(21, 100, 90, 2)
    alarms = sum(copy_test(x[:30], x[30:70], x[70:], seed, 99).p_value <= 0.05 for seed, x in enumerate(sets))
    assert alarms <= stats.binom.isf(ONE_IN_A_MILLION, 100, 0.05)


def test_copy_test_finds_one_copy_in_ten():
    train, held_out, draws = normal(22, 400, 8), normal(23, 150, 8), normal(24, 300, 8)
    draws[:30] = train[:30] + 0.1 * draws[:30]
    assert copy_test(draws, train, held_out, 0).p_value <= 0.001


def test_typical_draws_are_close_to_training_rows_without_being_copies():
    train, held_out, draws = normal(25, 400, 8), normal(26, 150, 8), 0.6 * normal(27, 300, 8)
    nearest = [nearest_distances(rows, train).distance for rows in (draws, held_out)]
    assert memorisation_test(*nearest).p_value < 1e-6
    test = copy_test(draws, train, held_out, 0)
    assert test.p_value > 0.01
    assert abs(test.log_ratio) < 0.05


def test_exact_copies_do_not_break_the_copy_test():
    train = normal(28, 60, 3)
    assert copy_test(train, train, normal(29, 30, 3), 0).p_value <= 0.001
