"""The verdict on chains over all of a density: they must agree with each other and hold enough draws.

Thresholds are the conventions of Vehtari et al., Bayesian Analysis 16, 2021: rank-normalised split R-hat below 1.01 and
400 effective draws in the bulk and in the tails, for every coordinate and the log density.
"""

import dataclasses
import math
from dataclasses import dataclass

from scorefleet.tasks.judging.modes_visited import Visited, check_visits
from scorefleet.tasks.judging.verdict import Check, Verdict, check_finite
from scorefleet.tasks.mcmc.diagnostics.edges import EDGE

MAX_RHAT, MIN_ESS = 1.01, 400.0
MIN_ROUND_TRIPS = 400
"""Round trips of a ladder, all chains together: each brings an independent draw down to the density, and n of them know
the weight w of a mode to about `sqrt(w (1-w)/n)`."""

UNDEFINED = (
    "the density is NaN or infinite close to where chains move: declare its domain with --support or return -inf "
    "outside it, and make it finite inside"
)
NECK = (
    "the draws of a coordinate end in an edge, as where the density narrows without end (a flat prior on the log of a "
    "scale): write it without the neck (non-centred), or check the prior of the scale"
)


@dataclass(frozen=True)
class Measures:
    """What the verdict rests on: the worst over coordinates and the log density of each.

    `nested_rhat` is that between superchains, None where no two of the chains looked at share a starting point. Where
    it is there it takes the place of `rhat`, which n effective draws in half a chain bring to `sqrt(1 + 1/n)` even when
    all chains have the same law, and so refuses many short chains (Margossian et al., arXiv 2110.13017).
    """

    rhat: float
    nested_rhat: float | None
    num_starts: int
    """Superchains among the chains looked at."""
    bulk_ess: float
    tail_ess: float
    acceptance: float
    min_chain_acceptance: float
    num_nonfinite: int
    """Proposals with an undefined density where the mass is."""
    num_overflowed: int = 0
    """Proposals whose density overflowed where it had fallen to nothing."""
    thinning_out: float | None = None
    """How the draws thin out towards the ends of the worst coordinate (`edges`), where proposals overflowed."""
    num_round_trips: int | None = None
    """None where there is no ladder."""
    visited: tuple[Visited, ...] = ()
    """Modes that the warm-up found."""


def judge_measures(measured: Measures) -> Verdict:
    """Converged when every check holds."""
    ladder = () if measured.num_round_trips is None else (_round_trips(measured.num_round_trips),)
    return Verdict(
        (
            _finite(measured),
            _rhat("R-hat between chains", measured.rhat)
            if measured.nested_rhat is None
            else _nested_rhat(measured.nested_rhat, measured),
            _ess("bulk", measured.bulk_ess),
            _ess("tails", measured.tail_ess),
            _moving(measured),
            *ladder,
            *check_visits(measured.visited),
        )
    )


def _rhat(name: str, rhat: float) -> Check:
    is_passed = rhat < MAX_RHAT  # NaN fails: chains that do not move have no R-hat
    sentence = f"{name} is {rhat:.4f}, " + (
        f"below {MAX_RHAT}." if is_passed else f"where less than {MAX_RHAT} is needed; raise burn_in and num_draws."
    )
    return Check(name, f"{rhat:.4f}", f"< {MAX_RHAT}", is_passed, sentence)


def _nested_rhat(rhat: float, measured: Measures) -> Check:
    """With n effective draws of one law, K starting points have an R-hat near `sqrt(1 + K/n)`: it says how many are
    needed before anything can be said."""
    check, num_starts = _rhat("R-hat between starting points", rhat), measured.num_starts
    by_chance = math.sqrt(1 + num_starts / measured.bulk_ess) if measured.bulk_ess > 0 else math.nan
    if check.is_passed or not by_chance >= MAX_RHAT:
        return check
    enough = math.ceil(num_starts / (MAX_RHAT**2 - 1))
    few = (
        f" {measured.bulk_ess:,.0f} effective draws from {num_starts} starting points bring it to {by_chance:.3f} even "
    )
    said = "where all have one law, so there are too few to tell"
    return dataclasses.replace(check, sentence=f"{check.sentence}{few}{said}: {enough:,} or more are needed.")


def _ess(where: str, ess: float) -> Check:
    is_passed = ess >= MIN_ESS
    sentence = f"The {where} hold {ess:,.0f} effective draws, the worst coordinate's or the log density's, " + (
        f"{MIN_ESS:.0f} or more." if is_passed else f"where {MIN_ESS:.0f} are needed; raise num_draws or num_chains."
    )
    return Check(f"Effective draws in the {where}", f"{ess:,.0f}", f">= {MIN_ESS:.0f}", is_passed, sentence)


def _round_trips(num_round_trips: int) -> Check:
    """Chains that never climb to the top of the ladder know nothing of other modes."""
    is_passed = num_round_trips >= MIN_ROUND_TRIPS
    allowed = f"{MIN_ROUND_TRIPS} or more." if is_passed else f"where {MIN_ROUND_TRIPS} are needed; "
    remedy = "" if is_passed else "raise num_levels or num_draws."
    sentence = f"Replicas made {num_round_trips:,} round trips along the ladder, {allowed}{remedy}"
    return Check("Round trips of the ladder", f"{num_round_trips:,}", f">= {MIN_ROUND_TRIPS}", is_passed, sentence)


def _moving(measured: Measures) -> Check:
    """A chain that accepts nothing is a point, not a draw."""
    is_passed = measured.min_chain_acceptance > 0
    rates = f"{measured.acceptance:.3f}, least of a chain {measured.min_chain_acceptance:.3f}"
    sentence = f"Acceptance is {rates}." + ("" if is_passed else " A chain that never moves is stuck; raise burn_in.")
    return Check("Acceptance of every chain", rates, "> 0", is_passed, sentence)


def _finite(measured: Measures) -> Check:
    """The first check, for one that fails explains what else does. Overflows alone do not fail it: rejecting what has
    no mass is exact. They do where draws end in an edge, for behind it there may be any mass.
    """
    check, far = check_finite(measured.num_nonfinite, UNDEFINED), measured.num_overflowed
    if not far:
        return check
    is_edge = measured.thinning_out is None or not measured.thinning_out >= EDGE  # NaN fails
    said = f"{far:,} proposals overflowed where the density had fallen to nothing, and were rejected"
    said = f"{said}, and {NECK}." if is_edge else f"{said}, which is exact."
    sentence = said if check.is_passed else f"{check.sentence} {said}"
    return dataclasses.replace(check, is_passed=check.is_passed and not is_edge, sentence=sentence)
