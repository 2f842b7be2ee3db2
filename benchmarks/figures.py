"""Prints what a benchmark measured beside what is wanted, and turns it into an exit code."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured value, and the range in which it is good enough."""

    name: str
    value: float
    lowest: float = float("-inf")
    highest: float = float("inf")

    @property
    def is_met(self) -> bool:
        """Whether the value lies in the range."""
        return self.lowest <= self.value <= self.highest

    def __str__(self) -> str:
        bounds = [f"at least {self.lowest:g}"] * (self.lowest > float("-inf"))
        bounds += [f"at most {self.highest:g}"] * (self.highest < float("inf"))
        verdict = ("met" if self.is_met else "MISSED") if bounds else ""
        return f"{self.name:<44}{self.value:>10.4g}   {' and '.join(bounds):<28}{verdict}"


def report(title: str, figures: Sequence[Figure]) -> int:
    """Print the figures; 0 when all are met, else 1."""
    print(title)
    for figure in figures:
        print(f"  {figure}")
    return int(not all(figure.is_met for figure in figures))
