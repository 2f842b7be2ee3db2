"""The source files that a user's module is made of: its own, and those that it imports from outside the installed
packages, found by reading them, without running any.
"""

import ast
import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from glob import escape, glob
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import resolve_name
from pathlib import Path

from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.user_code.installed import installed_folders

MOST_FOLDERS = 64
"""Folders that are looked through for the files that a source names."""


def find_from_here() -> str:
    """Have modules of the working folder found, which it returns."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return folder


def modules_of(function: str) -> list[str]:
    """The module of MODULE:FUNCTION and, where that imports the function from another, that one."""
    module, _, name = function.partition(":")
    modules = list[str]()
    while module not in modules:
        modules.append(module)
        module, name = next(_origins(module, name), (module, name))
    return modules


def own_sources(modules: Iterable[str]) -> dict[str, Path]:
    """Files by the names of their modules: `modules`, wherever they are, and whatever is imported from these on that is
    not installed. An import that is only made when code runs (`importlib.import_module`) is not seen.
    """
    roots, found = set(modules), dict[str, Path]()
    pending, seen = list(roots), set[str]()
    while pending:
        name = pending.pop()
        spec = None if name in seen else find(name)
        seen.add(name)
        if spec is None or (_is_installed(spec) and name not in roots):
            continue
        pending += [above for above in (name.rpartition(".")[0],) if above]
        if spec.has_location and spec.origin:
            found[name] = Path(spec.origin)
            if found[name].suffix == ".py" and not _is_installed(spec):
                pending += _imported(found[name], _package(spec))
    return found


def packages(modules: Iterable[str]) -> set[str]:
    """The top-level names of all that a user's own sources import."""
    paths = _own_paths(modules)
    return {name.partition(".")[0] for path in paths for name in _imported(path, "")}


def named_files(modules: Iterable[str]) -> set[str]:
    """Files that strings in a user's own sources name: from the working folder, from that of the source, or from a
    folder that is itself named so; `part-{k}.csv` and `part-*.csv` name all that fit.
    """
    found = set[str]()
    for path in _own_paths(modules):
        patterns = set(_patterns(_parsed(path)))
        for folder in _named_folders(patterns, [str(Path.cwd()), str(path.parent)]):
            found |= {place for pattern in patterns for place in _matches(folder, pattern) if os.path.isfile(place)}  # noqa: PTH113
    return {place for place in found if not place.endswith((".py", ".pyc"))}


def find(name: str) -> ModuleSpec | None:
    """Where Python would find a module, without importing the packages that it is in."""
    above = name.rpartition(".")[0]
    if not above:
        return PathFinder.find_spec(name)
    package = find(above)
    if package is None or package.submodule_search_locations is None:
        return None
    portions = list[str]()
    for folder in package.submodule_search_locations:
        finder = pkgutil.get_importer(folder)
        spec = finder.find_spec(name) if finder else None
        if spec is not None and spec.loader is not None:
            return spec
        portions += (spec and spec.submodule_search_locations) or []
    if not portions:
        return None
    namespace = ModuleSpec(name, None, is_package=True)  # folders without __init__.py
    namespace.submodule_search_locations = portions
    return namespace


def _own_paths(modules: Iterable[str]) -> list[Path]:
    """The sources that can be read as text and are not installed, though `modules` may be."""
    found = own_sources(modules).items()
    return [path for name, path in found if path.suffix == ".py" and (spec := find(name)) and not _is_installed(spec)]


def _patterns(tree: ast.AST) -> Iterator[str]:
    """Strings of a source that may name files, formatted ones with `*` for what is filled in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values]
            yield from _if_name("".join(parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _if_name(node.value)


def _if_name(text: str) -> Iterator[str]:
    if len(text) < 256 and text.isprintable() and any(letter.isalnum() for letter in text):
        yield text


def _named_folders(patterns: Iterable[str], folders: list[str]) -> list[str]:
    for folder in folders:  # which grows
        places = [os.path.join(folder, pattern) for pattern in patterns if len(folders) < MOST_FOLDERS]  # noqa: PTH118
        folders += [place for place in places if os.path.isdir(place) and place not in folders]  # noqa: PTH112
    return folders


def _matches(folder: str, pattern: str) -> list[str]:
    name = os.path.expanduser(pattern)  # noqa: PTH111
    if "*" in name:
        return glob(os.path.join(escape(folder), name))  # noqa: PTH118, PTH207
    return [os.path.normpath(os.path.join(folder, name))]  # noqa: PTH118


def _is_installed(spec: ModuleSpec) -> bool:
    """Whether a module came with Python or by an installer, and so changes only with its version."""
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or [])
    return any(Path(place).is_relative_to(folder) for place in places for folder in installed_folders())


def _imported(path: Path, package: str) -> Iterator[str]:
    """Every dotted name that an import statement of a file could mean; `package` is what its dots count from."""
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            base = _base(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _parsed(path: Path) -> ast.AST:
    """The syntax of a source; nothing of one in an archive, which is known by the archive as a whole."""
    if not path.is_file():
        return ast.Module([], [])
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise UsageError(f"the source {path} cannot be read: {error}") from error


def _origins(module: str, name: str) -> Iterator[tuple[str, str]]:
    """The modules from which a module imports what it calls `name`, and what they call it."""
    spec = find(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return
    for node in ast.walk(_parsed(Path(spec.origin))):
        if isinstance(node, ast.ImportFrom):
            base = _base(node, _package(spec))
            yield from ((base, alias.name) for alias in node.names if (alias.asname or alias.name) == name)


def _package(spec: ModuleSpec) -> str:
    """What the dots of a module's imports count from."""
    return spec.name if spec.submodule_search_locations else spec.name.rpartition(".")[0]


def _base(node: ast.ImportFrom, package: str) -> str:
    named = "." * node.level + (node.module or "")
    return resolve_name(named, package) if node.level else named
