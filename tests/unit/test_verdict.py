import dataclasses
import math

import pytest

from scorefleet.tasks.judging.verdict import Measurements, judge
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS

GOOD = Measurements(
    control_p_value=0.4,
    num_judged=1024,
    num_chains=1024,
    num_steps=10,
    target_acceptance=0.574,
    acceptance=(0.55, 0.58, 0.60),
    num_stuck=(0, 3, 1),
    num_nonfinite=0,
    flaw="",
)


def judged(**changes):
    return judge(dataclasses.replace(GOOD, **changes), 1e-3)


def test_good_chains_converged_and_every_reason_says_so():
    assert judged().is_converged
    assert len(judged().reasons) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"control_p_value": 1e-4}, ["p = 0.0001", "0.00033", "sample.steps_per_level"]),
        ({"acceptance": (0.55, 0.40, 0.60)}, ["0.400", "noise level 2 of 3", "0.49 to 0.65"]),
        ({"num_stuck": (0, 0, 102)}, ["102 of 1,024", "noise level 3 of 3"]),
        ({"num_nonfinite": 7}, ["7 energies", "0 are allowed"]),
        ({"swap_rates": (0.5, 0.04, 0.6)}, ["exchanged levels 2 and 3", "0.040", "sample.num_levels"]),
        ({"control_p_value": 1e-4, "swap_rates": (0.5,)}, ["sample.exchange_rounds"]),
    ],
)
def test_one_fault_fails_the_verdict_and_is_the_first_reason(changes, words):
    verdict = judged(**changes)
    assert not verdict.is_converged
    assert [check.is_passed for check in verdict.checks].count(False) == 1
    for word in words:
        assert word in verdict.reasons[0]


def test_every_reason_is_one_sentence():
    for changes in (
        {},
        {"control_p_value": 0.0, "acceptance": (0.1,) * 3, "num_stuck": (999,) * 3, "num_nonfinite": 1},
    ):
        for reason in judged(**changes).reasons:
            assert reason.endswith(".")
            assert ". " not in reason


def test_the_false_alarm_rate_is_shared_by_the_tests():
    assert not judged(control_p_value=0.0003).is_converged
    assert judged(control_p_value=0.0004).is_converged


def test_p_of_nothing_but_nan_does_not_converge():
    assert not judged(control_p_value=float("nan")).is_converged


def test_few_proposals_widen_the_band_of_acceptance():
    rates = (0.574, 0.67, 0.574)
    assert not judged(acceptance=rates).is_converged
    assert judged(acceptance=rates, num_chains=64, num_stuck=(0, 0, 0)).is_converged


def test_the_band_follows_the_target():
    assert judged(acceptance=(0.8, 0.81, 0.79), target_acceptance=0.8).is_converged


def test_agreement_of_chains_that_are_not_exact_is_called_that():
    assert "neither is exact" not in judged().reasons[0]
    assert "neither is exact, for the kernel takes every step" in judged(flaw=KERNELS["langevin"].flaw).reasons[0]


def test_swaps_are_judged_where_there_are_any():
    assert len(judged(swap_rates=(0.5, 0.6)).reasons) == 5
    assert judged(swap_rates=(0.5, 0.6)).is_converged


@pytest.mark.parametrize("level", [0, 1, 2])
def test_an_acceptance_that_is_not_a_number_does_not_converge(level):
    rates = [0.55, 0.58, 0.60]
    rates[level] = math.nan
    assert not judged(acceptance=tuple(rates)).is_converged
    assert not judged(swap_rates=tuple(rates)).is_converged
    assert not judged(control_p_value=math.nan).is_converged
