"""Schedules that meet one rule of the commit protocol each, so that its loss is seen in seconds."""

from tests.faults.schedules import Schedule

AIMED = (
    # A record that is there before its rows or its state: who dies between two calls of a commit leaves it so.
    Schedule.aimed(("die in a commit", 10), ("die in a commit", 20)),
    # A writer that wakes when another has committed its segment, and all is published.
    Schedule.aimed(("stop in a commit", 18), ("leave", 0)),
    # A state that is not what was committed, and the state that a segment goes on from.
    Schedule.aimed(("rot", 0)),
    # A segment that takes down whoever makes it: the command ends, and goes on when that is mended.
    Schedule.aimed(("poison", 2)),
)
