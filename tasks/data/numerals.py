"""Reads columns of text as numbers, where all that is in them are numbers; what is none stays text.

Codes keep their zeros (00501), and whole numbers beyond 64 bits their digits: both stay text. A decimal mark is one for
the whole file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

NULL_WORDS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN", "-NaN", "-nan", "NaN", "nan", "NAN"),
    *("N/A", "n/a", "NA", "na", "NULL", "null", "Null", "None", "none", "<NA>", "NaT"),
)
"""What stands for a missing value in a column of numbers."""

BOOLEANS = {"true": True, "false": False}
CODE = r"^[+-]?0[0-9xX]"
DIGITS = r"^[+-]?[0-9]+$"
NUM_TRIED = 100
LARGEST_EXACT = 2.0**53
GROUPING = " \u00a0\u2009\u202f'’"
"""Marks between thousands everywhere: blanks of several widths, and apostrophes."""


@dataclass(frozen=True)
class Grammar:
    """How numbers are written with one decimal mark, the other one between thousands."""

    decimal: str

    @property
    def _grouping(self) -> str:
        return "[" + re.escape("," if self.decimal == "." else ".") + GROUPING + "]"

    @property
    def _pattern(self) -> str:
        whole = rf"(?:[1-9]\d{{0,2}}(?:{self._grouping}\d{{3}})+|\d*)"
        return rf"^[+\-−]?{whole}(?:{re.escape(self.decimal)}\d*)?(?:[eE][+\-−]?\d+)?$"

    def read(self, values: pa.ChunkedArray) -> pa.ChunkedArray | None:
        """Return a column of text as numbers; None where a value is not written so."""
        if self.decimal == "," and not pc.any(pc.match_substring(values, ".")).as_py():
            column = number(pc.replace_substring(values, ",", "."))  # most files: no marks between thousands
            if column is not None:
                return column
        for part in (values.slice(0, NUM_TRIED), values):
            if not pc.all(pc.match_substring_regex(part, self._pattern)).as_py():
                return None
        plain = pc.replace_substring_regex(values, self._grouping, "")
        return number(pc.replace_substring(pc.replace_substring(plain, self.decimal, "."), "−", "-"))


POINT, COMMA = Grammar("."), Grammar(",")


def read_columns(texts: Sequence[pa.ChunkedArray], decimal: str | None) -> tuple[list[pa.ChunkedArray], str]:
    """Return each column of text as numbers, truth values or times where it is one of these, and the decimal mark.

    Raises `ValueError` where numbers may be meant in two ways.
    """
    values = [_without_nulls(text) for text in texts]
    plain = [None if decimal == "," else number(column) for column in values]
    mark = decimal or _decimal_of([column for column, known in zip(values, plain, strict=True) if known is None])
    if mark == "," and decimal is None:
        _require_one_mark(values, plain)
    grammars = (COMMA, POINT) if mark == "," else (POINT,)
    columns = []
    for text, column, known in zip(texts, values, plain, strict=True):
        readings = (grammar.read(column) for grammar in grammars) if known is None or mark == "," else ()
        found = next((reading for reading in readings if reading is not None), known)
        columns.append(_no_number(text, column) if found is None else found)
    return columns, mark


def is_numeric(column: pa.ChunkedArray) -> bool:
    """Return whether a column was read as numbers, of which one is there."""
    return (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) and column.null_count < len(column)


def has_digits(text: pa.ChunkedArray) -> bool:
    """Return whether a value of a column of text is digits alone."""
    return _any_like(pc.utf8_trim_whitespace(text), DIGITS)


def number(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return text as int64, or float64; None where it is neither, a code, or a whole number that floats would round."""
    for kind in (pa.int64(), pa.float64()):
        try:
            pc.cast(values.slice(0, NUM_TRIED), kind)  # a cast that fails takes long
            column = pc.cast(values, kind)
        except pa.ArrowInvalid:
            continue
        if _any_like(values, CODE) or (kind == pa.float64() and _any_rounded(values, column)):
            return None
        return column
    return None


def is_number_like(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return which values of a column of text are numbers in either way of writing."""
    has_digit = pc.match_substring_regex(values, r"^$|^[^eE]*\d")
    return pc.and_(has_digit, pc.or_(*(pc.match_substring_regex(values, one._pattern) for one in (POINT, COMMA))))


def _decimal_of(columns: Sequence[pa.ChunkedArray]) -> str:
    """Return the decimal mark under which more of the columns that plain numbers do not explain are numbers."""
    points, commas = ([column for column in columns if grammar.read(column) is not None] for grammar in (POINT, COMMA))
    for column in points if len(points) == len(commas) else ():
        example = pc.filter(column, pc.match_substring(column, ","))
        if len(example):
            raise ValueError(
                f"it holds numbers such as {example[0].as_py()}, whose comma may be a decimal mark or stand between "
                'thousands: give --prepare.csv.decimal "," or "."'
            )
    return "," if len(commas) > len(points) else "."


def _require_one_mark(values: Sequence[pa.ChunkedArray], plain: Sequence[pa.ChunkedArray | None]) -> None:
    """Refuse a file with decimal commas in one column and points in another, where a third may be meant either way."""
    pointed = [column for column, known in zip(values, plain, strict=True) if known is not None and _has_point(column)]
    either = [column for column in pointed if COMMA.read(column) is not None]
    if len(either) in (0, len(pointed)):
        return
    raise ValueError(
        f"it holds numbers such as {_pointed(either[0])}, whose point may be a decimal mark or stand between "
        'thousands, for some columns have decimal points and some commas: give --prepare.csv.decimal "," or "."'
    )


def _has_point(column: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.match_substring(column, ".")).as_py())


def _pointed(column: pa.ChunkedArray) -> str:
    return pc.filter(column, pc.match_substring(column, "."))[0].as_py()


def _without_nulls(text: pa.ChunkedArray) -> pa.ChunkedArray:
    trimmed = pc.utf8_trim_whitespace(text)
    if pc.any(pc.starts_with(trimmed, "+")).as_py():
        trimmed = pc.replace_substring_regex(trimmed, r"^\+([\d.,])", r"\1")
    return pc.if_else(pc.is_in(trimmed, pa.array(NULL_WORDS)), pa.scalar(None, pa.string()), trimmed)


def _no_number(text: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as truth values or times where all are, else the text as it is."""
    lower = pc.utf8_lower(values)
    if pc.all(pc.is_in(lower, pa.array(list(BOOLEANS)))).as_py():
        return pc.equal(lower, "true")
    try:
        pc.cast(values.slice(0, NUM_TRIED), pa.timestamp("s"))
        return pc.cast(values, pa.timestamp("s"))
    except pa.ArrowInvalid:
        return text


def _any_like(values: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())


def _any_rounded(values: pa.ChunkedArray, column: pa.ChunkedArray) -> bool:
    return _any_like(pc.filter(values, pc.greater(pc.abs(column), LARGEST_EXACT)), DIGITS)
