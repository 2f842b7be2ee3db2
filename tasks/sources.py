"""The source of a user's function: the file it stands in, and what that imports from the working folder."""

import ast
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def digest(function: Callable[..., Any]) -> str:
    """The sha256 of the function's file and of all files below the working folder that it imports, directly or not."""
    function, folder = inspect.unwrap(function), Path.cwd()
    own = Path(inspect.getfile(function)).read_bytes()
    digests, pending = {"": hashlib.sha256(own).hexdigest()}, [*_imported_names(own, function.__module__)]
    while pending:
        name = pending.pop()
        place = folder / name.replace(".", "/")
        found = next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
        if name in digests or found is None:
            continue
        source = found.read_bytes()
        digests[name] = hashlib.sha256(source).hexdigest()
        pending += _imported_names(source, f"{name}.__init__" if found.stem == "__init__" else name)
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _imported_names(source: bytes, module: str) -> Iterator[str]:
    """Every dotted name that could be a module that the text of `module` imports, and those of its packages."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: k + 1]) for k in range(len(parts)))
