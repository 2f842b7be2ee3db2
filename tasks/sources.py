"""The source files that a user's module is made of: its own, and those that it imports from outside the installed
packages, found by reading them, without running any.
"""

import ast
import hashlib
import json
import site
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import resolve_name
from pathlib import Path


def digest(modules: Iterable[str]) -> str:
    """The sha256 of the sources of some modules and of all their own imports, by name."""
    hashed = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in own_sources(modules).items()}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def digest_of(function: str) -> str:
    """The `digest` of MODULE:FUNCTION: of its module and, where that imports the function from another, of that one."""
    module, _, name = function.partition(":")
    modules = list[str]()
    while module not in modules:
        modules.append(module)
        module, name = next(_origins(module, name), (module, name))
    return digest(modules)


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


def find(name: str) -> ModuleSpec | None:
    """Where Python would find a module, without importing the packages that it is in."""
    above = name.rpartition(".")[0]
    if not above:
        return PathFinder.find_spec(name)
    package = find(above)
    if package is None or package.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(name, package.submodule_search_locations)


def _is_installed(spec: ModuleSpec) -> bool:
    """Whether a module came with Python or by an installer, and so changes only with its version."""
    installed = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    installed += [*site.getsitepackages(), site.getusersitepackages()]
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or [])
    return any(Path(place).is_relative_to(folder) for place in places for folder in installed)


def _imported(path: Path, package: str) -> Iterator[str]:
    """Every dotted name that an import statement of a file could mean; `package` is what its dots count from."""
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _origins(module: str, name: str) -> Iterator[tuple[str, str]]:
    """The modules from which a module imports what it calls `name`, and what they call it."""
    spec = find(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return
    for node in ast.walk(ast.parse(Path(spec.origin).read_bytes(), spec.origin)):
        if isinstance(node, ast.ImportFrom):
            base = _base(node, _package(spec))
            yield from ((base, alias.name) for alias in node.names if (alias.asname or alias.name) == name)


def _package(spec: ModuleSpec) -> str:
    """What the dots of a module's imports count from."""
    return spec.name if spec.submodule_search_locations else spec.name.rpartition(".")[0]


def _base(node: ast.ImportFrom, package: str) -> str:
    named = "." * node.level + (node.module or "")
    return resolve_name(named, package) if node.level else named
