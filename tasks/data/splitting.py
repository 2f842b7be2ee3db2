"""Splits rows by what is in them, so that a row that was ever held out stays held out, however the table grows.

A row's place is a number `u` in [0, 1), a hash of its values and the seed. Rows with `u < test_fraction` are the test
rows, those with `u` up to `test_fraction + validation_fraction` beyond them the validation rows, whatever else is in
the table: the numbers of rows are binomial about their fractions. Neither the order of rows and columns nor the type
of the numbers matters.

Equal rows lie in one split, so that no row is both learned from and held out. Two kinds of table need more care, since
a value that training never sees is a hole in the learned density. A *grid* has fewer possible rows than rows, so that
chance repeats them: there equal rows lie in one split `COPIES` at a time. Elsewhere a row that makes up more than
`LARGEST_SHARE` of the table is learned from.
"""

import hashlib
import math

import numpy as np
import pyarrow as pa

from scorefleet.tasks.data.schema import shape_of
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.store.shards import rows_of

MIN_SPLIT_ROWS = {"train": 20, "validation": 2, "test": 2}
MIN_DISTINCT_ROWS = 50
COPIES = 4
LARGEST_SHARE = 0.05
MOST_DECIMALS = 6
ROWS_AT_ONCE = 4096


def content_of(table: pa.Table, label: str | None) -> np.ndarray:
    """A hash, uint64, of the modelled values of each row: equal for equal values."""
    names = sorted(_modelled(table, label))
    key = hashlib.sha256("\0".join(names).encode()).digest()
    hashes = np.empty(len(table), np.uint64)
    for first in range(0, len(table), ROWS_AT_ONCE):
        part = table.slice(first, ROWS_AT_ONCE)
        columns = [rows_of(part[name], int(np.prod(shape_of(part.field(name))))) for name in names]
        values = np.concatenate([column.astype("<f8") for column in columns], axis=1) + 0.0  # -0.0 becomes 0.0
        digests = b"".join(hashlib.blake2b(row, digest_size=8, key=key).digest() for row in values)
        hashes[first : first + len(part)] = np.frombuffer(digests, "<u8")
    return hashes


def _modelled(table: pa.Table, label: str | None) -> list[str]:
    return [name for name in table.column_names if name != label]


def occurrence_of(content: np.ndarray) -> np.ndarray:
    """0 for the first row of some content, 1 for the second equal one, ..."""
    order = np.argsort(content, kind="stable")
    ordered = content[order]
    is_first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(content)), 0))
    occurrence = np.empty(len(content), np.int64)
    occurrence[order] = np.arange(len(content)) - starts
    return occurrence


def sides_of(content: np.ndarray, is_grid: bool = False) -> np.ndarray:
    """Name what lies in one split together, uint64: equal rows, in a grid up to `COPIES` of them."""
    return mix(content, occurrence_of(content) // COPIES if is_grid else 0)


def is_grid(table: pa.Table, label: str | None, content: np.ndarray) -> bool:
    """Return whether a table has fewer possible rows than rows: all numbers of a few decimals in a small range.

    A table that stands several times in a file counts once.
    """
    counts = np.unique(content, return_counts=True)[1]
    times = int(np.gcd.reduce(counts)) if len(counts) > 1 else 1
    columns = [rows_of(table[name], int(np.prod(shape_of(table.field(name))))) for name in _modelled(table, label)]
    return sum(map(_log_possible, columns)) < math.log(len(table) / times)


def _log_possible(rows: np.ndarray) -> float:
    """Return the log of how many rows [row, size] can be: multiples of the last decimal between their extremes."""
    x = rows.astype(np.float64)
    rounding = np.finfo(rows.dtype).eps if rows.dtype.kind == "f" else 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # numbers that leave their range are no multiples
        for decimals in range(MOST_DECIMALS + 1):
            scaled = x * 10.0**decimals
            if (np.abs(scaled - np.rint(scaled)) <= 2 * rounding * np.abs(scaled)).all():
                return rows.shape[1] * math.log(scaled.max() - scaled.min() + 1)
    return math.inf


def mix(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """A hash of two whole numbers: the finaliser of splitmix64 (Steele, Lea & Flood, OOPSLA 2014), which is a
    bijection of `a + (b + 1) golden ratio`.
    """
    z = np.asarray(a, np.uint64) + (np.atleast_1d(b).astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _learned_if_common(u: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Return `u` with the largest number for rows that are a large part of the table."""
    _, place, counts = np.unique(content, return_inverse=True, return_counts=True)
    is_common = (counts > COPIES) & (counts > LARGEST_SHARE * len(content))
    if len(counts) < MIN_DISTINCT_ROWS and counts.max() > COPIES:
        raise DataError(
            f"only {len(counts)} of {len(content):,} rows differ: at least {MIN_DISTINCT_ROWS} different rows are "
            "needed, so that some can be held out"
        )
    return np.where(is_common[place], np.nextafter(1, 0), u)


def split_rows(
    content: np.ndarray, validation_fraction: float, test_fraction: float, seed: int, is_grid: bool = False
) -> dict[str, np.ndarray]:
    """Sorted row indices of each split, of rows with these hashes of their content.

    Where a fraction has less than `MIN_SPLIT_ROWS`, the rows with the next `u` are taken in; a growing table gives
    those back to training, and never takes a row out of it. `UsageError` where too few are left to learn from,
    `DataError` where too few rows differ.
    """
    u = (mix(sides_of(content, is_grid), seed % 2**63) >> np.uint64(11)) / 2.0**53
    if not is_grid:
        u = _learned_if_common(u, content)
    ordered = np.sort(u)
    last_test = max(np.nextafter(test_fraction, 0), ordered[MIN_SPLIT_ROWS["test"] - 1])
    num_test = int((u <= last_test).sum())
    following = ordered[min(num_test + MIN_SPLIT_ROWS["validation"], len(u)) - 1]
    last_validation = max(np.nextafter(test_fraction + validation_fraction, 0), following)
    held_out = {"validation": (u > last_test) & (u <= last_validation), "test": u <= last_test}
    splits = {"train": np.flatnonzero(u > last_validation)} | {k: np.flatnonzero(v) for k, v in held_out.items()}
    num_train = len(splits["train"])
    if num_train < MIN_SPLIT_ROWS["train"]:
        raise UsageError(
            f"prepare.validation_fraction {validation_fraction} and prepare.test_fraction {test_fraction} "
            f"leave {num_train} of {len(u)} rows to learn from: make them smaller"
        )
    return splits
