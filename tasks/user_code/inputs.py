"""What a user's function is made of and has read: what a step's key holds of it.

The function's module is imported and called once while `watching` it. Whatever cannot be followed stands in the key by
the function's values at a few points, where it has any, and is named in one line.
"""

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import torch

from scorefleet.tasks.console import notify
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.user_code import sources, watching
from scorefleet.tasks.user_code.guard import UserFunction, contained
from scorefleet.tasks.user_code.loading import load
from scorefleet.tasks.user_code.reads import (
    MODULE,
    VALUES,
    Reads,
    difference,
    listing_of,
    named,
    sha256_of,
    variables_of,
)
from scorefleet.tasks.user_code.watching import Watch, is_data, stamp_of

MOST_DIM = 64
LAST_CALL = "if it must end the process, only where it is the program (`if __name__ == '__main__':`)"


@dataclass(frozen=True)
class Observed:
    """A function, and the sha256 of everything that it was seen to read, by name."""

    name: str
    function: UserFunction
    module: ModuleType | None
    reads: Reads
    unseen: tuple[str, ...]
    stamps: dict[str, tuple[int, ...] | None]
    rereads: set[str] = field(default_factory=set)
    """The files that it reads at every call."""

    @property
    def digest(self) -> str:
        """Names the function and all that it read."""
        return hashlib.sha256(json.dumps(self.reads, sort_keys=True).encode()).hexdigest()

    def is_current(self) -> bool:
        """Whether all that it read is still as it was, as far as can be seen without reading it."""
        if self.unseen or sys.modules.get(self.name.partition(":")[0]) is not self.module:
            return False
        variables = {key: value for key, value in self.reads.items() if key.startswith("$")}
        is_same = all(stamp_of(path) == stamp for path, stamp in self.stamps.items())
        return is_same and variables == variables_of(key[1:] for key in variables)


TryOut = Callable[[UserFunction], Sequence[float] | None]
"""Calls a function, so that it reads what it reads at its first call; returns its values if it has any."""

_seen: dict[tuple[str, str], Observed] = {}
_held: dict[tuple[str, str], str] = {}
"""By name and working folder: what was last observed, and the digest that the keys of this command hold."""


def observe(name: str, what: str, try_out: TryOut) -> Observed:
    """A function and what it reads now; its module is imported again if that has changed since it was last observed."""
    before = _seen.get(_place(name))
    if before is None or not before.is_current():
        _forget(name)
        _seen[_place(name)] = _observed(name, what, try_out)
    return _seen[_place(name)]


def observed(name: str, what: str, try_out: TryOut) -> Observed:
    """A function with what it had read when it was last observed, which it goes by."""
    return _seen.get(_place(name)) or observe(name, what, try_out)


def for_key(seen: Observed) -> str:
    """The digest for a step's key, which the step must then find; what could not be followed is printed in one line."""
    if seen.unseen:
        noticed = "noticed only by its values at a few points" if VALUES in seen.reads else "not noticed: use --force"
        what = f"{seen.function.what} reads what cannot be followed ({', '.join(seen.unseen)})"
        notify(f"scorefleet: {what}: changes there are {noticed}")
    _held[_place(seen.name)] = seen.digest
    return seen.digest


@contextmanager
def complete(seen: Observed) -> Iterator[None]:
    """Refuse what changed since keys were found, and what a function reads only later, which no key would hold."""
    if _held.get(_place(seen.name), seen.digest) != seen.digest:
        raise DataError(f"{seen.function.what} changed after this command had begun: run the same command again")
    with watching.watching() as watch, contained(seen.function.what, DataError, LAST_CALL):
        yield
    seen.rereads.update(path for path in watch.files() if path in seen.stamps)
    late = [named(path) for path in watch.files() if path not in seen.stamps]
    if late:
        raise DataError(
            f"{seen.function.what} read {late[0]} only after its first call, so that a change of it would not be "
            "noticed: read it when the module is imported"
        )


def require_unchanged(seen: Observed) -> None:
    """Refuse draws of a function that read another file in the end than in the beginning."""
    for path in sorted(seen.rereads):
        if stamp_of(path) != seen.stamps[path]:
            raise DataError(
                f"{named(path)} changed while the chains ran, and {seen.function.what} reads it at every call: choose "
                "another --store or --root, and leave the file alone or have it read when the module is imported"
            )


def _place(name: str) -> tuple[str, str]:
    return name, str(Path.cwd())


def require_same(seen: Observed, reads: Reads) -> None:
    """Refuse to continue where a function reads something else than it did where the work began. What was below the
    working folder there, and so has a relative name, may be elsewhere here.
    """
    for key, digest in sorted(seen.reads.items()):
        there = key if key in reads else next((name for name in reads if key.endswith(f"/{name}")), key)
        is_chance = key.startswith(MODULE) and key not in reads  # loaded elsewhere before it was observed
        if key != VALUES and digest != reads.get(there) and not is_chance:
            raise DataError(
                f"{seen.function.what} is not what the work began with: {difference(key, reads, seen.reads)}; all "
                "workers must see the same files and environment variables: run the same command again where they do"
            )


def try_out(function: UserFunction) -> None:
    """Call a function whose points have a dimension that is not known yet, up to the first that it takes."""
    for dim in range(1, MOST_DIM + 1):
        with contextlib.suppress(DataError):
            function(torch.ones(1, dim, dtype=torch.float64))
            return


def _observed(name: str, what: str, try_out: TryOut) -> Observed:
    sources.find_from_here()
    modules, loaded = sources.modules_of(name), set(sys.modules)
    with watching.watching() as watch, contained(f"{what} {name!r}", DataError, LAST_CALL):
        function = load(name, what)
        values = try_out(function)
    code = sources.own_sources(modules) | _loaded_since(loaded)
    texts = [path.read_bytes() for path in code.values() if path.is_file()]
    called = {reader for word, reader in watching.NATIVE_CALLS.items() if any(word in text for text in texts)}
    native = sources.packages(modules) & watching.NATIVE_READERS | called
    written = {path for path, is_read in watch.is_read.items() if not is_read}
    in_source = filter(is_data, sources.named_files(modules) - written) if native else ()
    files = {*watch.files(), *in_source} - {str(path) for path in code.values()}
    reads = {MODULE + key: sha256_of(str(path)) for key, path in code.items()}
    reads |= {named(path): _unchanged_sha256(path, watch) for path in files}
    reads |= {f"{named(folder)}/": listing_of(folder, files) for folder in watch.folders}
    reads |= variables_of(watch.variables)
    unseen = (
        *sorted(watch.unseen),
        *(f"files that {package} opens by names not in the source" for package in sorted(native)),
    )
    if unseen and values is not None:
        reads[VALUES] = " ".join(f"{value:.6g}" for value in values)
    stamps = {path: stamp_of(path) for path in (*files, *watch.folders, *map(str, code.values()))}
    return Observed(name, function, sys.modules.get(name.partition(":")[0]), reads, unseen, stamps)


def _loaded_since(before: set[str]) -> dict[str, Path]:
    """Modules of the user's own that reading the sources did not find, such as those of `importlib.import_module`."""
    files = {key: getattr(module, "__file__", None) for key, module in sys.modules.items() if key not in before}
    return {key: Path(path) for key, path in files.items() if isinstance(path, str) and is_data(path)}


def _forget(name: str) -> None:
    """Have a module and its user's own parts imported again; packages above it stay, as other modules hold them."""
    root, before = name.partition(":")[0], _seen.get(_place(name))
    loaded = {key.removeprefix(MODULE) for key in before.reads} if before else set[str]()
    for key in loaded | sources.own_sources(sources.modules_of(name)).keys():
        module = sys.modules.get(key)
        path = getattr(module, "__file__", None)
        is_above = hasattr(module, "__path__") and not f"{key}.".startswith(f"{root}.")
        if path and is_data(path) and not is_above:
            del sys.modules[key]


def _unchanged_sha256(path: str, watch: Watch) -> str:
    """The sha256 of a file, that is what was read of it."""
    digest = sha256_of(path)
    if path not in watch.made and stamp_of(path) != watch.stamps.get(path, stamp_of(path)):
        raise DataError(f"{named(path)} changed while it was read: run the same command again")
    return digest
