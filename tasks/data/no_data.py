"""Finds the columns of a table that number or name its rows and are no data: indexes, row numbers, identifiers.

A column of fractions is data. So is one of whole numbers, unless it counts the rows from 0 or 1 in any order, is called
an identifier, or floats cannot hold it; and so is text with a word that occurs twice. Of equal rows one counts, so that
a table may stand in its file several times.
"""

import json
import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorefleet.tasks.data.numerals import DIGITS, is_number_like
from scorefleet.tasks.data.splitting import mix

MIN_ROWS = 50
INDEX = re.compile(r"|Unnamed: 0(_level_\d+)?|__index_level_\d+__|level_\d+")
"""What pandas calls an index without a name."""
NAMELESS = re.compile(r"Unnamed: \d+(_level_\d+)?")
IDENTIFIER = re.compile(
    r"(?i:(.*[\s_.-])?(id|ids|uid|uuid|guid|key|pk)|row|rowid|index|idx|nr|#|(row|record).?(nr|no|number))|.*[a-z](Id|ID)"
)
LARGEST_EXACT = 2**53
NUMBER_SHARE = 0.5
"""Share of numbers from which a column of text is one of numbers with something odd in it."""


class Rows:
    """The rows of a table, of which equal ones count once."""

    def __init__(self, table: pa.Table):
        self._table = table

    def are_named_by(self, name: str) -> bool:
        """Return whether each row that differs from the others has a value of its own in a column."""
        num_values = len(_storage(self._table[name].combine_chunks()).unique())
        if num_values < MIN_ROWS or num_values == len(self._table):
            return num_values >= MIN_ROWS
        parts = self._hashes
        if len(parts) < self._table.num_columns:  # arrays are not compared, so that every row may be another
            return False
        whole = np.sum(list(parts.values()), axis=0, dtype=np.uint64)
        num_rows = len(np.unique(whole))
        return num_values == num_rows == len(np.unique(whole - parts[name]))

    @cached_property
    def _hashes(self) -> dict[str, np.ndarray]:
        """A hash of each value, uint64, of which the sum over columns is one of the row; without arrays."""
        found = {name: _hashes(self._table[name], k) for k, name in enumerate(self._table.column_names)}
        return {name: hashes for name, hashes in found.items() if hashes is not None}


def find(table: pa.Table, spared: Sequence[str | None]) -> dict[str, str]:
    """Return the columns that are no data and what each is, of those that are not spared."""
    indexes, rows = _indexes_of(table), Rows(table)
    found = {
        name: "the index of a pandas table" if name in indexes else _kind(name, table[name].combine_chunks(), rows)
        for name in table.column_names
        if name not in spared
    }
    return {name: kind for name, kind in found.items() if kind is not None}


def _indexes_of(table: pa.Table) -> set[str]:
    """Return the columns that pandas recorded as the index of the table that it wrote."""
    try:
        recorded = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
        return {name for name in recorded.get("index_columns", []) if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return set()


def _hashes(column: pa.ChunkedArray, salt: int) -> np.ndarray | None:
    """Return a hash of each value, equal for equal values; None for arrays."""
    flat = column.combine_chunks()
    try:
        encoded = flat if pa.types.is_dictionary(flat.type) else pc.dictionary_encode(_storage(flat))
    except pa.ArrowNotImplementedError:
        return None
    indices = pc.fill_null(pc.cast(encoded.indices, pa.int64()), -1)
    return mix(indices.to_numpy().astype(np.uint64), salt)


def _storage(column: pa.Array) -> pa.Array:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _kind(name: str, column: pa.Array, rows: Rows) -> str | None:
    """Return what a column is that is no data."""
    whole = _whole_numbers(column)
    if whole is not None:
        return _kind_of_numbers(name, whole, rows)
    if not _is_text(column):
        return None
    if INDEX.fullmatch(name):
        return "an index without a name"
    return "text of which no two rows share a value" if rows.are_named_by(name) else None


def _kind_of_numbers(name: str, whole: np.ndarray, rows: Rows) -> str | None:
    lowest, highest = int(whole.min()), int(whole.max())
    if INDEX.fullmatch(name) or (NAMELESS.fullmatch(name) and rows.are_named_by(name)):
        return "an index without a name"
    if lowest in (0, 1) and len(np.unique(whole)) == highest - lowest + 1 and rows.are_named_by(name):
        return f"row numbers from {lowest}"
    if IDENTIFIER.fullmatch(name) and (_counts_again(whole) or rows.are_named_by(name)):
        return "identifiers, one for each row"
    if max(-lowest, highest) > LARGEST_EXACT and rows.are_named_by(name):
        return "whole numbers beyond 2^53, one for each row"
    return None


def _counts_again(whole: np.ndarray) -> bool:
    """Return whether the numbers count up by one, from 0 or 1 again in each of several parts."""
    goes_on = whole[1:] - whole[:-1] == 1
    return len(whole) >= MIN_ROWS and bool((goes_on | np.isin(whole[1:], (0, 1))).all()) and whole[0] in (0, 1)


def _whole_numbers(column: pa.Array) -> np.ndarray | None:
    """Return a column of whole numbers without gaps as such; None for any other."""
    kind, is_full = column.type, len(column) and not column.null_count
    if is_full and pa.types.is_integer(kind):
        return column.to_numpy()
    if not is_full or not pa.types.is_floating(kind):
        return None
    x = column.to_numpy()
    is_whole = np.isfinite(x).all() and (x == np.rint(x)).all() and np.abs(x).max() <= LARGEST_EXACT
    return x.astype(np.int64) if is_whole else None


def _is_text(column: pa.Array) -> bool:
    """Return whether a column is text or bytes rather than numbers that could not be read."""
    column = _storage(column)
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    if pa.types.is_fixed_size_binary(column.type) or pa.types.is_binary(column.type):
        return True
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    text = pa.chunked_array([pc.drop_null(column).cast(pa.string())])
    num_digits = pc.sum(pc.match_substring_regex(text, DIGITS)).as_py() or 0
    num_numbers = pc.sum(is_number_like(text)).as_py() or 0
    return num_digits == len(text) or num_numbers < NUMBER_SHARE * len(text)
