"""How to run a pipeline, as against what."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Flow:
    """`start` runs a step and those after it again, `force` every step; `summary` names a file for the last lines,
    `sign` one with the key that signs the samples.
    """

    dry_run: bool = False
    start: str | None = None
    force: bool = False
    summary: str | None = None
    sign: str | None = None
