"""Frozen dataclasses from the JSON that `dataclasses.asdict` of them became."""

import dataclasses
import typing
from typing import Any, TypeVar

from scorefleet.tasks.errors import StorageError

T = TypeVar("T")


def rebuild(kind: type[T], document: Any, where: str) -> T:
    """An instance of `kind`, its dataclasses rebuilt and lists made tuples; `StorageError` when its keys are others."""
    names = {field.name for field in dataclasses.fields(typing.cast(Any, kind))}
    if not isinstance(document, dict) or set(document) != names:
        got = ", ".join(sorted(map(str, document))) if isinstance(document, dict) else document
        raise StorageError(f"{where} must have the keys {', '.join(sorted(names))}, but has {got}: use its own version")
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(hints[name], value, f"{where}.{name}") for name, value in document.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return rebuild(typing.cast(type, hint), value, where)
    return tuple(value) if isinstance(value, list) else value
