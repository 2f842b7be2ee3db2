"""What it means where Kubernetes does not do what it is asked."""

from scorefleet.tasks.errors import ServiceError, UsageError, UserError
from scorefleet.tasks.records.redaction import redact


class AlreadyThere(ServiceError):
    """An object of that name is there."""


class Changed(ServiceError):
    """The object is another by now."""


class NotThere(ServiceError):
    """No object of that name is there, or Kubernetes knows nothing of its kind."""


OF_REASON = {"AlreadyExists": AlreadyThere, "Conflict": Changed, "NotFound": NotThere}


def refusal(reason: str | None, line: str, by: str) -> UserError:
    """The exception for a reason of Kubernetes's own and the line that it says; `by` is how it was asked."""
    if reason in ("BadRequest", "Invalid"):
        return UsageError(f"Kubernetes refuses it: {redact(line)[:300]}")
    return OF_REASON.get(reason or "", ServiceError)(f"Kubernetes by {by}: {redact(line)[:200] or reason}")
