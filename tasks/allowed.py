"""What values a key may have."""

import re
from typing import Any, Literal

LadderKernel = Literal[
    "mala", "lecture_mala", "hmc", "random_walk", "gibbs", "langevin",
    "line_integral_simpson", "line_integral_gauss_legendre", "score_langevin",
]  # fmt: skip

LARGEST_COUNT, LARGEST_DRAWS = 2**48, 2**31
"""What a store can count: chains and rows of its layout, and draws, which are numbered by int32."""

ALIAS = re.compile(r"(?!latest$|v\d+$)[\w-]{1,255}", re.IGNORECASE)
"""MLflow's own rule, by which latest and v1 stand for versions."""

MODEL_NAME_BYTES = 200
"""A lock is named after the model, and a name of a file has 255 bytes at most."""

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
