"""What Ray raises when its processes or nodes are lost, as one line; known without Ray, which a run may do without."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from scorefleet.tasks.errors import ServiceError


@contextmanager
def one_line_failures() -> Iterator[None]:
    """Turn a loss into a `ServiceError`; what a task of ours raised passes as it is."""
    try:
        yield
    except Exception as error:
        if not _is_loss(error):
            raise
        raise ServiceError(f"lost Ray ({line_of(error)}): run the same command to resume") from error


def _is_loss(error: Exception) -> bool:
    if "ray" not in sys.modules:
        return False
    from ray.exceptions import RayError, RayTaskError

    return isinstance(error, RayError) and not isinstance(error, RayTaskError)


def line_of(error: Exception) -> str:
    """What Ray's many lines end with."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:160]
