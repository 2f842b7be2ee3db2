"""What a run records of its configuration: the keys of its command, as its steps resolve them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from scorefleet.tasks.dag.dag import Step

CHOSEN = ("train", "sample")
"""Sections whose keys are chosen by their steps where they are left out; the steps report what they chose."""


def parameters(steps: Sequence[Step], settings: Any) -> dict[str, Any]:
    """Return the keys of the command with their values; those that a step has yet to choose are left out."""
    sections = vars(settings) | {step.name: step.config for step in steps if _is_section(step, settings)}
    flat = flatten({name: _plain(value) for name, value in sections.items()})
    return {key: value for key, value in flat.items() if value is not None or key.partition(".")[0] not in CHOSEN}


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"train": {"num_steps": 3}}` as `{"train.num_steps": 3}`."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _is_section(step: Step, settings: Any) -> bool:
    """Whether a step's configuration is that of the section of its name, which a pipeline may have changed."""
    return type(step.config) is type(getattr(settings, step.name, None))


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
