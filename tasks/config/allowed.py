"""What values a key may have."""

import re
from typing import Any, Literal

LadderKernel = Literal[
    "mala", "lecture_mala", "hmc", "random_walk", "gibbs", "langevin",
    "line_integral_simpson", "line_integral_gauss_legendre", "score_langevin",
]  # fmt: skip

LARGEST_COUNT, LARGEST_DRAWS = 2**48, 2**31
"""What a store can count: chains and rows of its layout, and draws, which are numbered by int32."""

LARGEST_BLOCK = 2**22
"""Chains of a block, each of which has a row in every shard of it."""

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


def require_function(name: str, key: str, example: str) -> None:
    """Refuse what does not read MODULE:FUNCTION, with what was meant where a path was given."""
    if not is_function(name) or name.partition(":")[0].endswith(".py"):
        raise ValueError(f"{key} must be MODULE:FUNCTION, such as {example}, but got {name!r}{_meant(name)}")


def _meant(name: str) -> str:
    """`; did you mean 'models.posterior:f'?` for `models/posterior.py:f`."""
    path, colon, function = name.partition(":")
    if not colon and "/" in path and not path.endswith(".py"):
        path, _, function = path.rpartition("/")
    folder, parts = "", [part for part in path.removesuffix(".py").split("/") if part not in ("", ".")]
    if path.startswith(("/", "~", "..")):
        folder, parts = f", from within {path.rpartition('/')[0]}", parts[-1:]
    near = f"{'.'.join(parts)}:{function or 'FUNCTION'}"
    return f"; did you mean {near!r}{folder}?" if is_function(near) else ""


def is_function(name: str) -> bool:
    """Whether `name` reads MODULE:FUNCTION."""
    module, _, function = name.partition(":")
    return all(part.isidentifier() for part in module.split(".")) and function.isidentifier()
