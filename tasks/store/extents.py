"""How large a store is to be: as what began it asked, and then as each command that asked for more.

Each of these is a file of its own, `extension-0001.json` and so on, put only if it is absent and before any row that it
asks for. So all who write agree on how chains are cut into segments, whatever was asked for at once or interrupted.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from obstore.store import ObjectStore

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.entry import parse

LARGEST = 2**48
MOST_EXTENTS = 2000


class Extent(NamedTuple):
    """Chains, and draws of each."""

    num_chains: int
    num_draws: int

    def __str__(self) -> str:
        return f"{self.num_chains:,} chains of {self.num_draws:,} draws"


def extension_path(number: int) -> str:
    """Where the size is kept that a store was extended to the `number`th time, from 1."""
    return f"extension-{number:04}.json"


def extension_files(extents: Sequence[Extent]) -> dict[str, bytes]:
    """The files of all sizes but the first, which what began the store says."""
    files = {extension_path(number): extent for number, extent in enumerate(extents) if number}
    return {path: json.dumps(extent._asdict()).encode() for path, extent in files.items()}


def read_extents(store: ObjectStore, known: Sequence[Extent]) -> tuple[Extent, ...]:
    """The first sizes of a store, which are known, and those that were asked for after them."""
    extents = tuple(known)
    while objects.exists(store, path := extension_path(len(extents))):
        document = parse(path, objects.read(store, path))
        if [*document] != [*Extent._fields]:
            raise StorageError(f"{path} is damaged: it must say {' and '.join(Extent._fields)}")
        extents = _grown(path, extents, *document.values())
    return extents


def extents_of(where: str, value: Any) -> tuple[Extent, ...]:
    """A list of sizes, `[[num_chains, num_draws], ...]`; `StorageError` when no store of ours has grown like that."""
    if not isinstance(value, list) or not value or any(not isinstance(one, list) or len(one) != 2 for one in value):
        raise StorageError(f"{where} is damaged: extents must be a list of numbers of chains and draws")
    if len(value) > MOST_EXTENTS:
        raise StorageError(f"{where} is refused: no store was extended {len(value):,} times")
    extents: tuple[Extent, ...] = ()
    for one in value:
        extents = _grown(where, extents, *one)
    return extents


def count_of(where: str, name: str, value: Any) -> int:
    """A whole number from 1 up; `StorageError` when it is something else."""
    if type(value) is not int or not 1 <= value < LARGEST:
        raise StorageError(f"{where} must say {name}, a whole number of at least 1, but says {value!r}")
    return value


def _grown(where: str, before: tuple[Extent, ...], num_chains: Any, num_draws: Any) -> tuple[Extent, ...]:
    extent = Extent(count_of(where, "num_chains", num_chains), count_of(where, "num_draws", num_draws))
    if before and (extent == before[-1] or extent != tuple(map(max, extent, before[-1]))):
        raise StorageError(f"{where} is damaged: {before[-1]} cannot become {extent}")
    return (*before, extent)
