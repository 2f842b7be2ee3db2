"""A temporary folder that is this user's alone and outlives a run: for sockets, and for what was compiled."""

import os
import stat
import tempfile
from pathlib import Path

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.remedies import remedy_of


def make_private_folder() -> Path:
    """Make the folder, if it is not there, and close it to others; `StorageError` where it is another's."""
    folder = private_folder()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StorageError(f"{folder} is another user's, or no folder: remove it, or set RAY_TMPDIR to another")
        folder.chmod(0o700)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}; {remedy_of(error)}, by RAY_TMPDIR") from error
    return folder


def private_folder() -> Path:
    """Where it is or would be."""
    return temporary_folder() / f"scorefleet-{os.geteuid()}"


def temporary_folder() -> Path:
    """Where Ray too would put its own."""
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()).absolute()
