"""The places that take a command: a launcher is one file here and one line in `LAUNCHERS`."""

from importlib import import_module

from scorefleet.pipelines.launchers.launcher import Launcher
from scorefleet.tasks.errors import UsageError

LAUNCHERS = {
    "http://": "ray_jobs",
    "https://": "ray_jobs",
    "kubernetes": "kubernetes",
    "slurm": "slurm",
}
"""How `--to` begins, and the module whose `launcher(to)` takes it: loaded when it is needed."""


def launcher_of(to: str) -> Launcher:
    """The launcher that `--to` names."""
    for beginning, module in LAUNCHERS.items():
        if to.startswith(beginning):
            return import_module(f"{__name__}.{module}").launcher(to)
    if to.startswith("ray://"):
        raise UsageError(f"--to {to} is Ray Client, which keeps no job: give the head's dashboard, http://HOST:8265")
    raise UsageError(
        "--to must be the address of a Ray dashboard, such as http://127.0.0.1:8265, or slurm, or "
        f"slurm:partition=gpu,nodes=2, or kubernetes:rayjob.yaml, but got {to!r}"
    )
