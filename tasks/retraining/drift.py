"""Whether new rows come from the law of the rows that a champion knows. Pure.

Two comparisons: the rows that have arrived with all rows of the champion's snapshot, and those that have departed with
those that stayed. Where nothing has drifted both are splits of exchangeable rows. Each is an energy-distance
permutation test of whole rows and a Kolmogorov-Smirnov test of every coordinate, at levels that add up to
`FALSE_ALARM_RATE`: half of it to the energy tests, half to the coordinates. Beside them stands a check that no chance
fails in data without heavy tails: no value lies further out of the snapshot's range than `MAX_SPANS` times its span.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import stats

from scorefleet.tasks.data.schema import Column, DataSchema
from scorefleet.tasks.mcmc.diagnostics.twosample import energy_test

FALSE_ALARM_RATE = 1e-3
NUM_COMPARISONS = 2
MAX_ROWS = 1000
"""Rows of a side that tests look at, drawn at random: their cost grows with the square."""
MIN_ROWS = 10
"""Rows of a side below which no test is made, for its least p-value is not small."""
MAX_SPANS = 10
MOST_NAMED = 5
UNTYPED = {"int64", "float64"}
"""Types of one column from night to night where its file has none (CSV), or where a gap was filled in between."""

Rows = Float[np.ndarray, "row dim"]


def schema_changes(old: DataSchema, new: DataSchema) -> list[str]:
    """Columns that are missing, new or of another type or shape, and a label that is another: one phrase each."""
    before, after = ({column.name: column for column in schema.columns} for schema in (old, new))
    changes = [f"column {name!r} is missing" for name in before if name not in after]
    changes += [f"column {name!r} is new" for name in after if name not in before]
    for name in before.keys() & after.keys():
        kinds = {_kind(before[name]), _kind(after[name])}
        if len(kinds) > 1 and kinds != UNTYPED:
            changes.append(f"column {name!r} is {_kind(after[name])} and was {_kind(before[name])}")
    if old.label != new.label:
        names = [label.name if label else "none" for label in (new.label, old.label)]
        changes.append(f"the label is {names[0]!r} and was {names[1]!r}, or its type is another")
    return sorted(changes)


def _kind(column: Column) -> str:
    return column.dtype + (f"{list(column.shape)}" if column.shape else "")


def out_of_range(known: Rows, arrived: Rows, names: Sequence[str]) -> list[str]:
    """Coordinates with values that lie further out of the known range than `MAX_SPANS` times its span."""
    lowest, highest = known.min(0), known.max(0)
    reach = MAX_SPANS * np.maximum(highest - lowest, np.abs(highest) * 1e-6)
    is_out = (arrived < lowest - reach) | (arrived > highest + reach)
    return [
        f"{names[k]} has {is_out[:, k].sum():,} values far out of its range of {lowest[k]:.6g} to {highest[k]:.6g}, "
        f"such as {arrived[is_out[:, k], k][0]:.6g}"
        for k in np.flatnonzero(is_out.any(0))[:MOST_NAMED]
    ]


def compare(known: Rows, others: Rows, names: Sequence[str], what: str, seed: int) -> list[str]:
    """What sets `others` apart from the `known` rows, both standardised; `what` names the others in the sentence."""
    if min(len(known), len(others)) < MIN_ROWS:
        return []
    random = np.random.default_rng(seed)
    known, others = (x[random.permutation(len(x))[:MAX_ROWS]] for x in (known, others))
    level = FALSE_ALARM_RATE / 2 / NUM_COMPARISONS
    tests = [stats.ks_2samp(a, b, method="asymp") for a, b in zip(known.T, others.T, strict=True)]
    p_values = np.array([test.pvalue for test in tests])
    found = [
        f"{what} differ in {names[k]}: mean {others[:, k].mean():+.2f} where {known[:, k].mean():+.2f} was known, in "
        f"standard deviations (p = {p_values[k]:.1g})"
        for k in np.argsort(p_values)[:MOST_NAMED]
        if p_values[k] < level / len(names)
    ]
    test = energy_test(known, others, level, seed)
    if test.p_value <= level:
        found.append(f"{what} differ as whole rows (energy distance {test.distance:.3g}, p = {test.p_value:.1g})")
    return found
