"""The places that take a command: a launcher is one file here and one line in `LAUNCHERS`."""

from importlib import import_module

from pipelines.launchers.launcher import Launcher
from tasks.errors import UsageError

LAUNCHERS = {
    "http://": "ray_jobs",
    "https://": "ray_jobs",
}
"""How `--to` begins, and the module whose `launcher(to)` takes it: loaded when it is needed."""


def launcher_of(to: str) -> Launcher:
    """The launcher that `--to` names."""
    return import_module(f"{__name__}.{require_known(to)}").launcher(to)


def require_known(to: str) -> str:
    """The module whose launcher takes `to`."""
    for beginning, module in LAUNCHERS.items():
        if to.startswith(beginning):
            return module
    if to.startswith("ray://"):
        raise UsageError(f"--to {to} is Ray Client, which keeps no job: give the head's dashboard, http://HOST:8265")
    raise UsageError(f"--to must be the address of a Ray dashboard, such as http://127.0.0.1:8265, but got {to!r}")
