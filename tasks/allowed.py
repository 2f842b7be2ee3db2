"""What values a key may have."""

import re
from typing import Any, Literal

LadderKernel = Literal[
    "mala", "lecture_mala", "hmc", "random_walk", "gibbs", "langevin",
    "line_integral_simpson", "line_integral_gauss_legendre", "score_langevin",
]  # fmt: skip

MODEL_NAME = re.compile(r"\w[\w .-]*")
MODEL_URI = re.compile(rf"models:/(?P<name>{MODEL_NAME.pattern})(?:@(?P<alias>[\w-]+)|/(?P<version>[0-9]+))")


def require(is_allowed: bool, key: str, value: Any, allowed: str) -> None:
    """Refuse `value` of `key` in one line that says what was given and what is allowed."""
    if not is_allowed:
        raise ValueError(f"{key} must be {allowed}, but got {value!r}")


def is_function(name: str) -> bool:
    """Whether `name` reads MODULE:FUNCTION."""
    module, _, function = name.partition(":")
    return all(part.isidentifier() for part in module.split(".")) and function.isidentifier()
