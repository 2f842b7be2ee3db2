"""What a planted bug is."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` occurs exactly once in `file`; one of the test files in `killers` must fail when `new` stands there."""

    name: str
    file: str
    old: str
    new: str
    killers: tuple[str, ...]
