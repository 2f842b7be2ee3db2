"""The gate: what forbids a promotion, what earns it, and how often chance alone earns it."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from scorefleet.tasks.retraining.gate import Comparison, Facts, compare_draws, compare_likelihoods, decide, not_numbers

SOUND = Facts(True, ("Every check holds.",), 0, (), (), True)
BETTER = Comparison("likelihood", "nats a row", 1.0, 0.1, 30.0)
EVEN = Comparison("draws", "energy distance", 0.0, 0.1, 30.0)


def rows(num_rows: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((num_rows, 3)) + shift


def test_better_in_one_and_behind_in_none_is_promoted():
    decision = decide(SOUND, True, [BETTER, EVEN])
    assert decision.is_promoted
    (reason,) = decision.reasons
    assert reason == "It is better by its likelihood: +1 nats a row, 95 % interval +0.796 to +1.2."


def test_behind_in_one_is_a_veto():
    decision = decide(SOUND, True, [BETTER, dataclasses.replace(EVEN, difference=-0.01)])
    assert not decision.is_promoted
    assert decision.reasons[0].startswith("It is behind by its draws: -0.01 energy distance")


def test_no_better_is_not_promoted():
    decision = decide(SOUND, True, [dataclasses.replace(BETTER, difference=0.15), EVEN])
    assert not decision.is_promoted
    assert len(decision.reasons) == 2


def test_two_criteria_share_the_rate():
    """1.9 standard errors are beyond one criterion's bound (1.70 at 5 %) and within that of two (2.04 at 2.5 %)."""
    one = dataclasses.replace(BETTER, difference=0.19)
    assert decide(SOUND, True, [one]).is_promoted
    assert not decide(SOUND, True, [one, EVEN]).is_promoted


@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ({"is_converged": False, "reasons": ("The draws differ.",)}, "The draws differ."),
        ({"num_nonfinite": 2}, "2 energies on the way"),
        ({"findings": ("missing: block-00001.parquet",)}, "not whole: missing: block-00001"),
        ({"is_converged": False, "reasons": ()}, "did not converge"),
        ({"not_numbers": ("likelihood/held_out",)}, "not finite numbers: likelihood/held_out"),
        ({"is_exact": False}, "not exact, and those of the champion are"),
    ],
)
def test_a_flaw_forbids_what_every_criterion_wants(flaw, words):
    decision = decide(dataclasses.replace(SOUND, **flaw), True, [BETTER])
    assert not decision.is_promoted
    assert words in decision.reasons[0]


def test_what_is_not_exact_may_follow_its_like_and_nothing_is_promoted_unjudged():
    assert decide(dataclasses.replace(SOUND, is_exact=False), False, [BETTER]).is_promoted
    assert not decide(SOUND, True, []).is_promoted


def test_a_difference_that_is_no_number_is_not_promoted():
    assert not decide(SOUND, True, [dataclasses.replace(BETTER, difference=float("nan"))]).is_promoted


def test_the_error_of_log_z_enters_once_for_each_model():
    """Against the closed form: variances of the mean of pairs, and of both logs of mean Z."""
    random = np.random.default_rng(0)
    ours, theirs = random.normal(size=(2, 200))
    logs = random.normal(0, 0.4, (2, 16))
    found = compare_likelihoods(ours, theirs, *map(tuple, logs))
    z = np.exp(logs)
    variances = [(ours - theirs).var(ddof=1) / 200, *(z.var(1, ddof=1) / z.mean(1) ** 2 / 16)]
    assert found.difference == pytest.approx((ours - theirs).mean())
    assert found.standard_error == pytest.approx(np.sqrt(sum(variances)), rel=1e-6)
    dof = sum(variances) ** 2 / sum(v**2 / k for v, k in zip(variances, (199, 15, 15), strict=True))
    assert found.degrees_of_freedom == pytest.approx(dof, rel=1e-6)


def test_the_difference_of_draws_is_that_of_energy_distances():
    a, b, h = rows(60, 0, 0.1), rows(60, 1, 0.4), rows(80, 2)

    def distance(x: np.ndarray) -> float:
        return 2 * cdist(x, h).mean() - cdist(x, x).mean() - cdist(h, h).mean()

    found = compare_draws(a, b, h)
    assert found.difference == pytest.approx(distance(b) - distance(a))
    assert found.difference > 0
    assert compare_draws(b, a, h).difference == pytest.approx(-found.difference)


def test_held_out_rows_are_few_and_their_error_counts():
    """Two models equally far from the rows, on other sides: over 300 ticks differences are N(0, 1) in their standard
    errors. Five standard errors of a standard deviation are .2; without the rows' part it is above 2.
    """
    scores = []
    for seed in range(300):
        found = compare_draws(rows(200, 3 * seed, 0.7), rows(200, 3 * seed + 1, -0.7), rows(40, 3 * seed + 2))
        scores.append(found.difference / found.standard_error)
    assert 0.8 < np.std(scores) < 1.2


def test_models_of_one_law_are_promoted_no_more_often_than_stated():
    """Both criteria on 400 ticks: more promotions than the bound have probability 1e-6 at a rate of 5 %."""
    promoted, bound = 0, int(stats.binom.isf(1e-6, 400, 0.05))
    for seed in range(400):
        random = np.random.default_rng(seed)
        held_out = random.standard_normal((60, 3))
        pairs = 0.3 * random.standard_normal((2, 60))
        logs = random.normal(0, 0.1, (2, 16))
        scores = pairs - np.log(np.exp(logs).mean(1))[:, None]
        comparisons = [
            compare_likelihoods(*scores, *map(tuple, logs)),
            compare_draws(*random.standard_normal((2, 100, 3)), held_out),
        ]
        promoted += decide(SOUND, True, comparisons).is_promoted
    assert 1 <= promoted <= bound


MEASURED = {
    "chains/num_nonfinite": 0.0,
    "chains/control_p_value": 0.4,
    "chains/acceptance_min": 0.5,
    "chains/acceptance_max": 0.6,
    "likelihood/held_out": -3.0,
    "likelihood/log_z": 2.0,
    "quality/auc": 0.5,
}


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_metric_that_is_no_finite_number_is_named(name, value):
    assert not_numbers(MEASURED, (), True) == ()
    assert not_numbers(MEASURED | {name: value}, (), True) == (name,)
    without = {key: one for key, one in MEASURED.items() if key != name}
    assert not_numbers(without, (name,), True) == (name,)


def test_a_metric_that_the_gate_needs_and_is_not_there_is_named():
    for name in MEASURED:
        without = {key: one for key, one in MEASURED.items() if key != name}
        assert not_numbers(without, (), True) == (() if name == "quality/auc" else (name,))
    no_density = {key: one for key, one in MEASURED.items() if not key.startswith("likelihood")}
    assert not_numbers(no_density, (), False) == ()


@pytest.mark.parametrize("part", ["difference", "standard_error"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_criterion_that_is_not_a_number_forbids_promotion_whatever_the_other_shows(part, value):
    decision = decide(SOUND, True, [BETTER, dataclasses.replace(EVEN, **{part: value})])
    assert not decision.is_promoted
    assert "cannot be compared by its draws" in decision.reasons[0]
