"""Densities with known truth, by name; `scorefleet sample --target benchmarks.known:NAME` finds them as well."""

from benchmarks.known.edges import EDGES
from benchmarks.known.improper import IMPROPER
from benchmarks.known.known import Known, LogDensity
from benchmarks.known.modes import MODES
from benchmarks.known.scales import SCALES
from benchmarks.known.shapes import SHAPES
from benchmarks.known.tails import TAILS

KNOWN: dict[str, Known] = {known.name: known for known in (*SHAPES, *TAILS, *MODES, *EDGES, *SCALES, *IMPROPER)}


def __getattr__(name: str) -> LogDensity:
    """The log density of `benchmarks.known:NAME`, where what a name of Python's lacks is written as `_`."""
    for known in KNOWN.values():
        if identifier(known.name) == name:
            return known.log_density
    raise AttributeError(name)


def identifier(name: str) -> str:
    """`two_8_2d_width_0_01` for `two_8_2d_width_0.01`."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)
