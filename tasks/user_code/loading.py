"""Imports the function that a user names MODULE:FUNCTION, or says in one line why there is none."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from scorefleet.tasks.errors import DataError, UsageError, UserError
from scorefleet.tasks.user_code import sources
from scorefleet.tasks.user_code.guard import UserFunction, contained, described
from scorefleet.tasks.user_code.watching import is_data


def load(name: str, what: str = "target") -> UserFunction:
    """The function that `name` stands for, run in its user's default dtype; UsageError when there is none."""
    # Chains go where a density is no number, and are turned back there: an exception would end them all.
    torch.distributions.Distribution.set_default_validate_args(False)
    module_name, _, function_name = name.partition(":")
    ours = torch.get_default_dtype()
    try:
        module = _imported(name, module_name)
        function = _member(module, name, function_name)
        return UserFunction(f"{what} {name!r}", function, DataError)
    finally:
        torch.set_default_dtype(ours)


def _imported(name: str, module_name: str) -> ModuleType:
    folder = sources.find_from_here()
    remedy = "put what only a program of its own runs under `if __name__ == '__main__':`"
    try:
        with contained(f"importing {module_name!r}", UsageError, remedy):
            module = importlib.import_module(module_name)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        _require_unhidden(module_name)
        _require_no_namesake(module_name.partition(".")[0])
        raise UsageError(
            f"{name!r} needs the module {error.name!r}, which is neither in {folder} nor installed"
        ) from error
    except Exception as error:  # whatever the user's own code raises while it is imported
        if not isinstance(error, SyntaxError):
            _require_unhidden(module_name)
        raise UsageError(f"{module_name!r} cannot be imported: {described(error)}") from error
    _require_unhidden(module_name)
    return module


def _member(module: ModuleType, name: str, function_name: str) -> Any:
    function = getattr(module, function_name, None)
    if isinstance(function, type):
        raise UsageError(f"{name} is a class, but must be a function of points [chain, dim]: name an instance of it")
    if callable(function):
        return function
    if function is not None:
        raise UsageError(f"{name} is {type(function).__name__}, but must be a function of points [chain, dim]")
    near = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    raise UsageError(f"{module.__name__} has no function {function_name!r}; it has {', '.join(near) or 'none'}")


def _require_unhidden(module_name: str) -> None:
    """Refuse files of the user's own with the name of another module, to which Python comes at one time or another."""
    for name, path in sources.own_sources([module_name]).items():
        place = getattr(sys.modules.get(name), "__file__", path)
        is_standard = name.partition(".")[0] in sys.stdlib_module_names and is_data(str(path))
        if is_standard or place is None or not _is_same(Path(place), path):
            other = "of Python's own" if is_standard else f"in {place}"
            raise UsageError(f"{path} has the name of another module, {name!r} {other}: rename it")


def _require_no_namesake(top: str) -> None:
    """The same of a whole package, such as a folder `tasks`, of which a module was not found."""
    loaded, here = sys.modules.get(top), Path.cwd().resolve()
    found = next((path for path in (here / f"{top}.py", here / top) if path.exists()), None)
    places = [*getattr(loaded, "__path__", ()), getattr(loaded, "__file__", None) or ""]
    if (
        loaded is not None
        and found is not None
        and not any(Path(place).resolve().is_relative_to(here) for place in places)
    ):
        raise UsageError(f"{found} has the name of another module, {top!r} in {places[0] or 'Python'}: rename it")


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve().with_suffix("") == other.resolve().with_suffix("")
