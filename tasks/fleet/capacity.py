"""Refuses what cannot fit before anything is written: numbers in the format, rows on the disk, a block in memory."""

import shutil
from pathlib import Path

import psutil

from scorefleet.tasks import config
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.store import bucket
from scorefleet.tasks.store.layout import draws_per_segment
from scorefleet.tasks.store.places import folder_of

LEAST_PACKED = 0.5
"""Share of its size to which Parquet packs a chain's number: 0.53 was seen of correlated chains, 0.84 of noise."""

MODEL_ITEM_BYTES, TARGET_ITEM_BYTES = 4, 8
"""Of a number of a draw: float32 of a model, float64 of a user's density."""

LARGEST_NUMBERS = 2**63 - 1
BLOCK_COPIES = 2
"""The draws of a segment are in memory as tensors and as a table."""


def require_room(chains: config.Chains | config.Sample, dim: int, item_bytes: int, place: str, is_here: bool) -> None:
    """Raise where `num_chains x num_draws` points of `dim` numbers cannot be kept at `place`, or a block of them not be
    held in the memory of this machine, if chains run here.
    """
    rows = chains.num_chains * chains.num_draws
    named = f"{chains.num_chains:,} chains of {chains.num_draws:,} draws in {dim:,} dimensions"
    if rows * dim > LARGEST_NUMBERS:
        raise UsageError(f"{named} are {rows * dim:.3g} numbers, of which a store has 9.2e18 at most: ask for fewer")
    _require_memory(chains, dim * item_bytes, is_here)
    needed = rows * dim * item_bytes * LEAST_PACKED
    free = None if place.startswith(bucket.SCHEME) else free_bytes(folder_of(place))
    if free is not None and needed > free and needed > free + _kept_bytes(folder_of(place)):
        raise StorageError(
            f"{named} need {needed / 1e9:,.3g} GB at least, and {place} has {free / 1e9:,.3g} GB free: ask for fewer, "
            "or choose another --store or --root"
        )


def _require_memory(chains: config.Chains | config.Sample, point_bytes: int, is_here: bool) -> None:
    at_once = chains.block_size * min(chains.num_draws, draws_per_segment(chains.block_size))
    replicas = chains.num_levels if isinstance(chains, config.Chains) or chains.exchange_rounds else 1
    needed = point_bytes * (at_once * BLOCK_COPIES + chains.block_size * replicas)
    there = psutil.virtual_memory().total
    if is_here and needed > there:
        raise UsageError(
            f"a block of {chains.block_size:,} chains needs {needed / 1e9:,.3g} GB of memory, and this machine has "
            f"{there / 1e9:,.3g} GB: lower block_size or the number of dimensions"
        )


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk that a folder is on, or would be."""
    return shutil.disk_usage(existing(folder)).free


def existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def _kept_bytes(folder: Path) -> int:
    """Return what a run that is resumed has written already."""
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))
