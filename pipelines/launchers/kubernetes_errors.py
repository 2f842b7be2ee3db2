"""What it means where Kubernetes does not do what it is asked."""

from tasks.errors import ServiceError, UsageError
from tasks.redaction import redact


class AlreadyThere(Exception):
    """An object of that name is there."""


class Changed(Exception):
    """The object is another by now."""


class NotThere(Exception):
    """No object of that name is there."""


def refusal(reason: str | None, line: str, by: str) -> Exception:
    """The exception for a reason of Kubernetes's own and the line that it says; `by` is how it was asked."""
    if reason == "AlreadyExists":
        return AlreadyThere()
    if reason == "Conflict":
        return Changed()
    if reason == "NotFound":
        return NotThere()
    if reason in ("BadRequest", "Invalid"):
        return UsageError(f"Kubernetes refuses it: {redact(line)[:300]}")
    return ServiceError(f"Kubernetes by {by}: {redact(line)[:200] or reason}")
