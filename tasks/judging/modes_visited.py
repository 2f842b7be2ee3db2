"""The check that draws hold every mode that the warm-up found. Pure."""

from typing import NamedTuple

from scorefleet.tasks.judging.verdict import Check

WORTH_A_VISIT = 0.01
"""Share of the mass from which on a mode is judged."""
LEAST_OF_SHARE = 0.1
"""Part of a mode's share that must be drawn: the warm-up knows shares up to a factor of a few."""


class Visited(NamedTuple):
    """A mode: its share of the mass by importance weights of the warm-up, and the share of draws in it."""

    share: float
    drawn: float


def check_visits(visited: tuple[Visited, ...]) -> tuple[Check, ...]:
    """One check where there are modes: a mode that holds a part of the mass holds draws."""
    worth = [one for one in visited if one.share >= WORTH_A_VISIT]
    if len(visited) < 2 or not worth:
        return ()
    worst = min(worth, key=lambda one: one.drawn / one.share)
    is_passed = worst.drawn >= LEAST_OF_SHARE * worst.share
    found, share = f"The warm-up found {len(visited)} separate modes", f"about {worst.share:.1%} of the mass"
    sentence = (
        f"{found}, and draws visit all that hold {WORTH_A_VISIT:.0%} of the mass or more."
        if is_passed
        else f"{found}, and {worst.drawn:.2%} of the draws are in one that holds {share}; chains do not cross between "
        "them: add --num_levels 8 or raise num_draws."
    )
    measured = ", ".join(f"{one.drawn:.1%}" for one in visited)
    return (Check("Draws in every mode found", measured, "none missed", is_passed, sentence),)
