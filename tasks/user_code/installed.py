"""Where Python and what installers brought lie."""

import os
import site
import sys
import sysconfig
from functools import cache
from pathlib import Path


@cache
def installed_folders() -> tuple[str, ...]:
    """The folders of the standard library and of installed packages, as they are named and as links resolve."""
    folders = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    folders += [prefix for prefix in (sys.prefix, sys.base_prefix) if _is_apart(prefix)]
    return tuple(dict.fromkeys([*folders, *map(os.path.realpath, folders)]))


def _is_apart(prefix: str) -> bool:
    """Whether nothing of the user's lies below: not so of `/usr/local`, nor of an environment made in a project."""
    return prefix not in ("/", "/usr", "/usr/local") and not Path.cwd().is_relative_to(prefix)
