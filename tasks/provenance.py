"""Which code made something: the git commit and the versions of the libraries that decide the result."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("torch", "ray", "pyarrow", "mlflow", "numpy")


def versions() -> dict[str, str]:
    """Name -> version of Python and the libraries, read from their metadata without importing them."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def git_commit() -> str | None:
    """The commit of the checkout of this code, `-dirty` behind it if files differ; None outside of one."""
    folder = Path(__file__).parent
    if not (folder.parent / ".git").exists():  # an installed package may lie inside someone else's checkout
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):  # no git, or a checkout of another user that git refuses
        return None
    return answer.stdout.strip()
