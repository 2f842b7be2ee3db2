"""Where a Ray of our own keeps its sessions and sockets: below a folder that nobody else may enter.

Ray opens its folders to every user of the machine (mode 0777), and whoever reaches the sockets can use it.
"""

import os
import resource
import stat
import tempfile
from pathlib import Path

from tasks.errors import StorageError, UsageError
from tasks.remedies import remedy_of

LONGEST_SOCKET = 107
"""Bytes of a socket's path, by Linux."""

SOCKET = "/session_2026-11-30_08-37-23_123456_1234567/sockets/plasma_store"
"""The longest that Ray puts below its folder."""

FEWEST_FILES = 256
"""Files that this process and Ray's must be able to open."""


def require_room_for_ray() -> None:
    """`UsageError` where no Ray could start here: the folder's path is too long, or too few files can be opened."""
    folder, longest = _folder(), LONGEST_SOCKET - len(SOCKET)
    if len(os.fsencode(folder)) > longest:
        above = len(os.fsencode(folder)) - len(os.fsencode(_temporary()))
        raise UsageError(
            f"TMPDIR is too long for the sockets of Ray, {len(os.fsencode(_temporary()))} bytes where at most "
            f"{longest - above} can be ({_temporary()}): set RAY_TMPDIR to a shorter folder, such as /tmp"
        )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # up to which Ray raises the limit itself
    if most != resource.RLIM_INFINITY and most < FEWEST_FILES:
        raise UsageError(f"only {most} files can be open at once, and Ray needs {FEWEST_FILES}: raise ulimit -n")


def make_ray_folder() -> Path:
    """Make the folder, if it is not there, in one that is this user's alone; `StorageError` where it is another's."""
    private = _folder().parent
    try:
        private.mkdir(mode=0o700, exist_ok=True)
        found = private.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StorageError(f"{private} is another user's, or no folder: remove it, or set RAY_TMPDIR to another")
        private.chmod(0o700)
    except OSError as error:
        raise StorageError(f"{private} cannot be made: {error.strerror}; {remedy_of(error)}, by RAY_TMPDIR") from error
    return _folder()


def _folder() -> Path:
    """Ray opens this one itself to all, so that it lies in another."""
    return _temporary() / f"scorefleet-{os.geteuid()}" / "ray"


def _temporary() -> Path:
    """Where Ray too would put it."""
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()).absolute()
