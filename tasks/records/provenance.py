"""Which code made something: the git commit and the versions of the libraries that decide the result."""

import ast
import hashlib
import json
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import scorefleet
from scorefleet.tasks import config

LIBRARIES = ("torch", "ray", "pyarrow", "mlflow", "numpy")
PACKAGE = Path(scorefleet.__file__).parent


def provenance(module: str, seed: int) -> dict[str, Any]:
    """What a store says of the code that made its rows, of which `module` and what it imports decide them."""
    return {"seed": seed, "code_digest": code_digest(module), "git_commit": git_commit(), "versions": versions()}


def digest_of(path: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def versions() -> dict[str, str]:
    """Name -> version of Python and the libraries, read from their metadata without importing them."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def git_commit() -> str | None:
    """The commit of the checkout of this code, `-dirty` behind it if files differ; None outside of one."""
    folder = PACKAGE.parent
    if not (folder / ".git").exists():  # an installed package may lie inside someone else's checkout
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, encoding="ascii", timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):  # no git, or a checkout of another user that git refuses
        return None
    return answer.stdout.strip()


@cache
def code_digest(module: str) -> str:
    """The sha256 of a module's source and of all that it imports from its package, so that changed code runs again.

    The configuration is left out: what a step is given of it is in the step's key by value.
    """
    digests: dict[str, str] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        source = PACKAGE.parent / (name.replace(".", "/") + ".py")
        if name in digests or name.startswith(config.__name__) or not source.is_file():
            continue
        text = source.read_text(encoding="utf-8")
        beside = {*source.parent.glob(f"{source.stem}.*")}  # a page's template belongs to its module
        beside |= {path for path in source.parent.glob("*.cpp") if path.name in text}  # which it compiles
        digests[name] = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(beside))).hexdigest()
        pending += _imported_names(text)
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


@cache
def _imported_names(source: str) -> tuple[str, ...]:
    """Every dotted name that could be a module of this package."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE.name):
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(names)
