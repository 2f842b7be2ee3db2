"""Splits rows by what is in them, so that a row that was ever held out stays held out, however the table grows.

A row's place is a number `u` in [0, 1), a hash of its values and the seed. Rows with `u < test_fraction` are the test
rows, those with `u` up to `test_fraction + validation_fraction` beyond them the validation rows, whatever else is in
the table: the numbers of rows are binomial about their fractions. Neither the order of rows and columns nor the type
of the numbers matters. Equal rows lie on one side, four at a time: a value that is there more often is common in the
law rather than a row that could be learned by heart, and a table of few distinct rows must still be split.
"""

import hashlib

import numpy as np
import pyarrow as pa

from tasks.errors import UsageError
from tasks.store.schema import rows_of, shape_of

MIN_SPLIT_ROWS = {"train": 20, "validation": 2, "test": 2}
COPIES = 4
ROWS_AT_ONCE = 4096


def content_of(table: pa.Table, label: str | None) -> np.ndarray:
    """A hash, uint64, of the modelled values of each row: equal for equal values."""
    names = sorted(name for name in table.column_names if name != label)
    key = hashlib.sha256("\0".join(names).encode()).digest()
    hashes = np.empty(len(table), np.uint64)
    for first in range(0, len(table), ROWS_AT_ONCE):
        part = table.slice(first, ROWS_AT_ONCE)
        columns = [rows_of(part[name], int(np.prod(shape_of(part.field(name))))) for name in names]
        values = np.concatenate([column.astype("<f8") for column in columns], axis=1) + 0.0  # -0.0 becomes 0.0
        digests = b"".join(hashlib.blake2b(row, digest_size=8, key=key).digest() for row in values)
        hashes[first : first + len(part)] = np.frombuffer(digests, "<u8")
    return hashes


def occurrence_of(content: np.ndarray) -> np.ndarray:
    """0 for the first row of some content, 1 for the second equal one, ..."""
    order = np.argsort(content, kind="stable")
    ordered = content[order]
    is_first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(content)), 0))
    occurrence = np.empty(len(content), np.int64)
    occurrence[order] = np.arange(len(content)) - starts
    return occurrence


def sides_of(content: np.ndarray) -> np.ndarray:
    """What lies on one side together, uint64: up to `COPIES` equal rows."""
    return mix(content, occurrence_of(content) // COPIES)


def mix(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """A hash of two whole numbers: the finaliser of splitmix64 (Steele, Lea & Flood, OOPSLA 2014), which is a
    bijection of `a + (b + 1) golden ratio`.
    """
    z = np.asarray(a, np.uint64) + (np.atleast_1d(b).astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def split_rows(
    content: np.ndarray, validation_fraction: float, test_fraction: float, seed: int
) -> dict[str, np.ndarray]:
    """Sorted row indices of each split, of rows with these hashes of their content.

    Where a fraction has less than `MIN_SPLIT_ROWS`, the rows with the next `u` are taken in; a growing table gives
    those back to training, and never takes a row out of it. `UsageError` where too few are left to learn from.
    """
    u = (mix(sides_of(content), seed % 2**63) >> np.uint64(11)) / 2.0**53
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
