"""The user's home, which a user without an entry in passwd has by HOME alone."""

from pathlib import Path

from scorefleet.tasks.errors import UsageError


def home_folder() -> Path:
    """Return the home folder; `UsageError` where there is none."""
    try:
        return Path.home()
    except RuntimeError as error:
        raise UsageError("this user has no home folder: set HOME to one that can be written") from error
