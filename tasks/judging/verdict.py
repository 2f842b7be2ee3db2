"""The verdict on a run's chains: measurements in, checks with one sentence each out. Pure.

It fits chains that walk down the noise ladder once. Each of them ends in one mode, so R-hat between them
cannot come near 1; what tells whether the walk was slow enough is that a walk of twice the steps ends in the
same law. Chains that exchange replicas after it are held against twice the rounds as well.
"""

import math
from dataclasses import dataclass

from scipy import stats

from scorefleet.tasks.mcmc.diagnostics.diagnostics import acceptance_error, max_stuck

ACCEPTANCE_MARGIN = 0.08
"""Off the best acceptance by this, a Langevin step has lost 2 % of its speed `a (-Phi^-1(a/2))^(2/3)`, with a
the acceptance.

Roberts & Rosenthal, JRSS B 60, 1998.
"""

MIN_SWAP_RATE = 0.1
"""Swaps at this rate slow replicas down as eighteen more levels would: the time of a round trip is `2 + 2 sum r/(1-r)`
rounds, r the rejection rate of a pair. Levels that are spaced as they should be swap at about one half.
"""

NUM_TESTS = 3
"""Checks that chance can fail; they share the verdict's false-alarm rate equally (Bonferroni)."""


@dataclass(frozen=True)
class Measurements:
    """What the verdict rests on; the tuples have one entry a noise level, from the highest to the lowest."""

    control_p_value: float
    num_judged: int
    num_chains: int
    num_steps: int
    target_acceptance: float
    acceptance: tuple[float, ...]
    num_stuck: tuple[int, ...]
    num_nonfinite: int
    flaw: str
    """Why the kernel's draws are not exact, of which no check knows; empty where they are."""
    swap_rates: tuple[float, ...] = ()
    """Of each exchanged level with the next; empty where nothing is exchanged."""


@dataclass(frozen=True)
class Check:
    """One condition: what was measured, what is allowed, whether it holds, and both in a plain sentence."""

    name: str
    measured: str
    allowed: str
    is_passed: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """Converged when every check holds; the reasons start with those that do not."""

    checks: tuple[Check, ...]

    @property
    def is_converged(self) -> bool:
        return all(check.is_passed for check in self.checks)

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(check.sentence for check in sorted(self.checks, key=lambda check: check.is_passed))


def judge(measured: Measurements, false_alarm_rate: float) -> Verdict:
    """Converged chains fail with probability `false_alarm_rate` at most, over all checks together."""
    level = false_alarm_rate / NUM_TESTS
    return Verdict(
        (
            _control(measured, level),
            _acceptance(measured, level),
            _stuck(measured, level),
            check_finite(measured.num_nonfinite, "train longer or lower train.learning_rate"),
            *([_swaps(measured.swap_rates)] if measured.swap_rates else []),
        )
    )


def _control(measured: Measurements, level: float) -> Check:
    is_passed = measured.control_p_value > level
    remedy = "raise sample.steps_per_level or sample.num_levels"
    remedy += ", or sample.exchange_rounds" if measured.swap_rates else ""
    p, rows = f"p = {measured.control_p_value:.2g}", f"{measured.num_judged:,} chains"
    sentence = (
        f"The draws of {rows} agree with those of a ladder of twice the steps: {p} "
        f"(must exceed {level:.2g}){_caveat(measured)}."
        if is_passed
        else f"The draws of {rows} differ from those of a ladder of twice the steps: {p}, "
        f"where more than {level:.2g} is needed; {remedy}."
    )
    return Check("Agreement with a ladder of twice the steps", p, f"p > {level:.2g}", is_passed, sentence)


def _caveat(measured: Measurements) -> str:
    """What agreement of two ladders of one kernel cannot tell."""
    return f"; but neither is exact, for the kernel {measured.flaw}" if measured.flaw else ""


def _acceptance(measured: Measurements, level: float) -> Check:
    """The band is `target +- margin`, or what chance alone does where proposals are few. The acceptance of a kernel
    without a Metropolis test is what a test would have made of its steps.
    """
    target, rates = measured.target_acceptance, measured.acceptance
    error = acceptance_error(target, measured.num_chains, measured.num_steps)
    margin = max(ACCEPTANCE_MARGIN, error * float(stats.norm.isf(level / (2 * len(rates)))))
    allowed = f"{max(0.0, target - margin):.2f} to {min(1.0, target + margin):.2f}"
    worst = max(range(len(rates)), key=lambda k: (math.isnan(rates[k]), abs(rates[k] - target)))
    is_passed = abs(rates[worst] - target) <= margin  # NaN is the worst and does not pass
    span = f"{min(rates):.3f} to {max(rates):.3f}"
    sentence = (
        f"Acceptance is {span} over the {len(rates)} noise levels, within {allowed}."
        if is_passed
        else f"Acceptance is {rates[worst]:.3f} at noise level {worst + 1} of {len(rates)}, "
        f"outside {allowed}; its step size did not settle, so raise sample.block_size or sample.num_levels."
    )
    return Check("Acceptance at every noise level", span, allowed, is_passed, sentence)


def _stuck(measured: Measurements, level: float) -> Check:
    """The level whose number of unmoved chains is furthest beyond what chance leaves."""
    per_level = level / len(measured.num_stuck)
    rates = [1.0 if math.isnan(rate) else rate for rate in measured.acceptance]
    bounds = [max_stuck(measured.num_chains, measured.num_steps, rate, per_level) for rate in rates]
    worst = max(range(len(bounds)), key=lambda k: measured.num_stuck[k] - bounds[k])
    stuck, bound = measured.num_stuck[worst], bounds[worst]
    chains, steps = f"{measured.num_chains:,} chains", f"none of the {measured.num_steps} proposals"
    sentence = (
        f"The noise level nearest to its limit left {stuck:,} of {chains} with {steps} accepted; "
        f"chains that all move freely leave up to {bound:,}."
        if stuck <= bound
        else f"{stuck:,} of {chains} accepted {steps} at noise level {worst + 1} of {len(bounds)}, "
        f"where up to {bound:,} is chance; raise sample.steps_per_level or sample.lowest_noise."
    )
    return Check("Stuck chains at a noise level", f"{stuck:,}", f"at most {bound:,}", stuck <= bound, sentence)


def _swaps(rates: tuple[float, ...]) -> Check:
    """A pair that hardly swaps cuts the ladder in two; over all chains and rounds a rate has no error to speak of."""
    worst = min(range(len(rates)), key=lambda k: (not math.isnan(rates[k]), rates[k]))
    is_passed = rates[worst] >= MIN_SWAP_RATE
    span, pair = f"{min(rates):.3f} to {max(rates):.3f}", f"exchanged levels {worst + 1} and {worst + 2}"
    sentence = (
        f"Neighbours among the {len(rates) + 1} exchanged levels swap at rates of {span}, {MIN_SWAP_RATE} or more."
        if is_passed
        else f"The {pair} swap at a rate of {rates[worst]:.3f}, where {MIN_SWAP_RATE} is needed; "
        "raise sample.num_levels."
    )
    return Check("Swaps of neighbouring levels", span, f">= {MIN_SWAP_RATE}", is_passed, sentence)


def check_finite(num_nonfinite: int, remedy: str) -> Check:
    """No energy on the way was other than a number."""
    is_passed = num_nonfinite == 0
    sentence = (
        "Every energy and score was finite."
        if is_passed
        else f"{num_nonfinite:,} energies were not finite, where 0 are allowed; {remedy}."
    )
    return Check("Non-finite energies", f"{num_nonfinite:,}", "0", is_passed, sentence)
