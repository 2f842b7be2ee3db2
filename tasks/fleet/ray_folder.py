"""Where a Ray of our own keeps its sessions and sockets: below a folder that nobody else may enter.

Ray opens its folders to every user of the machine (mode 0777), and whoever reaches the sockets can use it.
"""

import os
import resource
from pathlib import Path

from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.store.private_folder import make_private_folder, private_folder, temporary_folder

LONGEST_SOCKET = 107
"""Bytes of a socket's path, by Linux."""

SOCKET = "/session_2026-11-30_08-37-23_123456_1234567/sockets/plasma_store"
"""The longest that Ray puts below its folder."""

FEWEST_FILES = 256
"""Files that this process and Ray's must be able to open."""


def require_room_for_ray() -> None:
    """`UsageError` where no Ray could start here: the folder's path is too long, or too few files can be opened."""
    folder, longest, temporary = _folder(), LONGEST_SOCKET - len(SOCKET), temporary_folder()
    if len(os.fsencode(folder)) > longest:
        above = len(os.fsencode(folder)) - len(os.fsencode(temporary))
        raise UsageError(
            f"TMPDIR is too long for the sockets of Ray, {len(os.fsencode(temporary))} bytes where at most "
            f"{longest - above} can be ({temporary}): set RAY_TMPDIR to a shorter folder, such as /tmp"
        )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # up to which Ray raises the limit itself
    if most != resource.RLIM_INFINITY and most < FEWEST_FILES:
        raise UsageError(f"only {most} files can be open at once, and Ray needs {FEWEST_FILES}: raise ulimit -n")


def make_ray_folder() -> Path:
    """The folder, in one that is this user's alone: Ray opens its own to all."""
    make_private_folder()
    return _folder()


def _folder() -> Path:
    return private_folder() / "ray"
