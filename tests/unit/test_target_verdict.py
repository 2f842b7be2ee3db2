import dataclasses
import math

import pytest

from scorefleet.tasks.judging.mode_search import not_tested
from scorefleet.tasks.judging.modes_visited import Visited
from scorefleet.tasks.judging.target_verdict import Measures, judge_measures
from scorefleet.tasks.reports.target_wording import next_steps

GOOD = Measures(
    rhat=1.002,
    nested_rhat=1.001,
    num_starts=64,
    bulk_ess=9000.0,
    tail_ess=4000.0,
    acceptance=0.76,
    min_chain_acceptance=0.41,
    num_nonfinite=0,
)


def test_chains_that_agree_converged():
    assert judge_measures(GOOD).is_converged


def test_many_short_chains_are_judged_by_their_superchains():
    assert judge_measures(dataclasses.replace(GOOD, rhat=1.02)).is_converged


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nested_rhat": None, "rhat": 1.011}, "R-hat between chains is 1.0110, where less than 1.01 is needed"),
        ({"nested_rhat": 1.2}, "R-hat between starting points is 1.2000"),
        ({"nested_rhat": None, "rhat": math.nan}, "R-hat between chains is nan"),
        ({"bulk_ess": 399.0}, "399 effective draws, the worst coordinate's or the log density's, where 400 are needed"),
        ({"tail_ess": math.nan}, "nan effective draws"),
        ({"min_chain_acceptance": 0.0}, "stuck"),
        ({"num_nonfinite": 3}, "3 energies were not finite, where 0 are allowed; the density is NaN or infinite"),
    ],
)
def test_each_measurement_can_refuse_and_says_so_first(changes, words):
    verdict = judge_measures(dataclasses.replace(GOOD, **changes))
    assert not verdict.is_converged
    assert words in verdict.reasons[0]


@pytest.mark.parametrize(("drawn", "is_passed"), [(0.006, False), (0.04, False), (0.2, True)])
def test_a_mode_of_half_of_the_mass_holds_a_good_part_of_the_draws(drawn, is_passed):
    found = judge_measures(dataclasses.replace(GOOD, visited=(Visited(0.5, 1 - drawn), Visited(0.5, drawn))))
    assert found.is_converged == is_passed


def test_too_few_draws_to_tell_are_told_from_chains_that_disagree():
    few = judge_measures(dataclasses.replace(GOOD, nested_rhat=1.016, bulk_ess=2000.0))
    assert (
        "2,000 effective draws from 64 starting points bring it to 1.016 even where all have one law" in few.reasons[0]
    )
    assert "3,185 or more are needed" in few.reasons[0]
    assert "one law" not in judge_measures(dataclasses.replace(GOOD, nested_rhat=1.016)).reasons[0]


def test_an_undefined_density_is_the_first_reason_and_its_remedy_is_the_support():
    both = judge_measures(dataclasses.replace(GOOD, num_nonfinite=3, nested_rhat=1.5, num_overflowed=4))
    assert "declare its domain with --support" in both.reasons[0]
    assert "raise burn_in" not in both.reasons[0]
    steps = next_steps(False, {"chains/num_nonfinite": 3.0, "chains/rhat_max": 1.5}, {"num_draws": 1, "burn_in": 1})
    assert len(steps) == 1
    assert "--support" in steps[0]


def test_proposals_that_overflowed_fail_only_where_draws_end_in_an_edge():
    """An improper posterior with a neck without end has them too, and may have a good R-hat."""
    tail = judge_measures(dataclasses.replace(GOOD, num_overflowed=9, thinning_out=0.7))
    assert tail.is_converged
    assert tail.checks[0].sentence.endswith("were rejected, which is exact.")
    for edge in (0.3, math.nan):
        verdict = judge_measures(dataclasses.replace(GOOD, num_overflowed=9, thinning_out=edge))
        assert not verdict.is_converged
        assert verdict.reasons[0].startswith("9 proposals overflowed where the density had fallen to nothing")
        assert "--support" not in verdict.reasons[0]


def test_a_mode_that_was_found_and_holds_no_draws_fails():
    """Half of the mass was seen in a second mode; a third holds too little to ask for."""
    found = (Visited(0.4995, 1.0), Visited(0.5, 0.0), Visited(0.0005, 0.0))
    verdict = judge_measures(dataclasses.replace(GOOD, visited=found))
    assert not verdict.is_converged
    assert "0.00% of the draws are in one that holds about 50.0% of the mass" in verdict.reasons[0]
    held = (Visited(0.7, 0.6), Visited(0.3, 0.4), Visited(0.0005, 0.0))
    assert judge_measures(dataclasses.replace(GOOD, visited=held)).is_converged


@pytest.mark.parametrize(
    ("dim", "num_levels", "words"),
    [
        (2, 1, "--num_levels 8 adds a tempering ladder"),
        (2, 8, "at 524,288 scattered points"),
        (600, 1, "no search for other modes ran"),
    ],
)
def test_what_no_check_can_see_stands_with_every_verdict(dim, num_levels, words):
    (sentence,) = not_tested({"dim": dim, "config": {"num_levels": num_levels}})
    assert "R-hat cannot detect modes that no chain visited" in sentence
    assert words in sentence
