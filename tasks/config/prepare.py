"""What data to read, and how they are written and split."""

import codecs
from dataclasses import dataclass
from typing import Literal

from scorefleet.tasks.config.allowed import require


@dataclass(frozen=True)
class CSV:
    """How CSV files are written. What is not given is found in each file, and printed."""

    separator: str | None = None
    """Character between fields; tab for a tab."""
    decimal: Literal[".", ","] | None = None
    """Decimal mark of all numbers."""
    encoding: str | None = None
    """Encoding of the text, such as utf-8 or cp1252."""
    header: bool | None = None
    """Whether the first row names the columns; without names they are x0, x1, and so on."""
    quote: str | None = None
    """Character around fields that hold a separator; none for none."""

    def __post_init__(self) -> None:
        for key, word, character in (("separator", "tab", "\t"), ("quote", "none", "")):
            given: str | None = getattr(self, key)
            value = character if given is not None and given.lower() in (word, repr(character)[1:-1]) else given
            is_character = value is None or value == character or (len(value) == 1 and value not in "\r\n")
            require(is_character, f"prepare.csv.{key}", value, f"one character, or {word}")
            object.__setattr__(self, key, value)
        is_known = self.encoding is None or _is_encoding(self.encoding)
        require(is_known, "prepare.csv.encoding", self.encoding, "an encoding that Python knows, such as cp1252")


def _is_encoding(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding
    except LookupError:
        return False


@dataclass(frozen=True)
class Prepare:
    """Read the data, check it, split it, keep it as Arrow."""

    data: str = ""
    """A file or folder (Parquet, Arrow, CSV, .npy, .npz, a Delta table), or sklearn:digits, sklearn:breast_cancer,
    sklearn:wine."""
    label: str | None = None
    """A column that is kept beside the data but not modelled; the report judges the balance of its classes."""
    validation_fraction: float = 0.08
    """Share of the rows that training watches but does not learn from."""
    test_fraction: float = 0.2
    """Share of the rows that nothing sees before the draws are judged."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    keep: tuple[str, ...] = ()
    """Columns to model although they look like none of data: an index, row numbers, identifiers. Such columns are left
    out otherwise, and named."""
    csv: CSV = CSV()
    """How CSV files are written."""

    def __post_init__(self) -> None:
        for key in ("validation_fraction", "test_fraction"):
            require(0 < getattr(self, key) < 0.5, f"prepare.{key}", getattr(self, key), "between 0 and 0.5")
        both = sorted({*self.drop} & {*self.keep})
        require(not both, "prepare.keep", both, "columns that prepare.drop does not name")
        require(self.label not in self.drop, "prepare.drop", list(self.drop), "columns other than prepare.label")
