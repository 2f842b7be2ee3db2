"""Finds how a CSV file is laid out: where its table begins, and what separates and quotes its fields.

Three sniffers were tried on 45 files. The one of duckdb takes files with decimal commas apart at these commas, and so
do those of Python and clevercsv where there is a single column. Here every separator is tried, and that one is taken
under which most fields that hold something are numbers.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scorefleet.tasks import config

SEPARATORS = (",", ";", "\t", "|", " ")
SAMPLE_BYTES, SAMPLE_LINES, QUOTED_BYTES = 2**18, 200, 4096
NUMERAL = re.compile(r"[+\-−]?[\d.,]*\d(?:[eE][+-]?\d+)?")
COMMENT = "#"
NO_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Layout:
    """`separator` is empty for a single column; the table begins after `num_skipped` lines, and a comment above it may
    hold the `names` of its columns.
    """

    separator: str
    quote: str
    num_skipped: int
    width: int
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Row:
    """The fields of a row, and how many lines stand above it."""

    line: int
    fields: list[str]

    @property
    def is_comment(self) -> bool:
        return self.fields[0].startswith(COMMENT)


def layout_of(text: bytes, told: config.CSV) -> Layout:
    """Return the layout of a text, in UTF-8; what is told is not looked for."""
    lines = [*io.StringIO(text[:SAMPLE_BYTES].decode(errors="ignore"), newline="")]  # of \n, \r\n and \r alone
    lines = lines[: -1 if len(lines) > 1 and len(text) > SAMPLE_BYTES else None][:SAMPLE_LINES]
    declared = re.fullmatch(r"sep=(.)\s*", lines[0]) if lines else None  # Excel's own line
    first = 1 if declared else 0
    quote = _quote(lines) if told.quote is None else told.quote
    known = told.separator or (declared[1] if declared else None)
    found = [_layout(lines, first, separator, quote) for separator in ([known] if known else [*SEPARATORS, ""])]
    return max(found, key=lambda candidate: candidate[0])[1]


def one_blank(text: bytes) -> bytes:
    """Return lines whose fields are separated by one blank each, of lines with any number of them."""
    return re.sub(rb"(?m)^ +| +$", b"", re.sub(rb"[ \t]+", b" ", text))


def _quote(lines: Sequence[str]) -> str:
    """Return the character around fields: `"` unless a sniffer finds another."""
    sample = "".join(lines)[:QUOTED_BYTES]
    if "'" not in sample or '"' in sample:
        return '"'
    try:
        return csv.Sniffer().sniff(sample, "".join(SEPARATORS)).quotechar or '"'
    except csv.Error:
        return '"'


def _layout(lines: Sequence[str], first: int, separator: str, quote: str) -> tuple[tuple[float, ...], Layout]:
    """Return how well a separator suits, the greater the better, and the layout with it."""
    rows = [row for row in _rows(lines, separator, quote) if row.line >= first and any(row.fields)]
    tabular = [row for row in rows if not row.is_comment]
    widths = Counter(len(row.fields) for row in tabular)
    width = widths.most_common(1)[0][0] if widths else 1
    body = [row for row in tabular if len(row.fields) == width]
    start = body[0].line if body else first
    fields = [field for row in body[1:] or body for field in row.fields if field]  # a gap tells nothing
    share = sum(bool(NUMERAL.fullmatch(field)) for field in fields) / max(len(fields), 1)
    num_odd = sum(row.line < start for row in tabular)
    suits = width > 1 or not separator
    names = _names_above([row for row in rows if row.line < start], width, body)
    return (suits, round(share, 2), -num_odd, bool(separator)), Layout(separator, quote, start, width, names)


def _rows(lines: Sequence[str], separator: str, quote: str) -> Iterator[Row]:
    if separator == " ":
        lines = [" ".join(line.split()) + "\n" for line in lines]
    reader = csv.reader(
        lines,
        delimiter=separator or NO_SEPARATOR,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )
    line = 0
    try:
        for fields in reader:
            yield Row(line, [field.strip() for field in fields] or [""])
            line = reader.line_num
    except csv.Error:  # a field of more than 128 KiB: what was read so far tells the layout
        return


def _names_above(above: Sequence[Row], width: int, body: Sequence[Row]) -> tuple[str, ...] | None:
    """Return the names in the last line above a table of numbers: in a comment (`np.savetxt`), or one fewer than its
    columns, of which the first holds the names of rows (R), or the last nothing (rows end with a separator).
    """
    if not above or not any(map(NUMERAL.fullmatch, body[0].fields)):
        return None
    names = above[-1].fields
    if above[-1].is_comment:
        names = [names[0].lstrip(COMMENT).strip(), *names[1:]]
        names = names if names[0] else names[1:]
    elif not any(row.fields[-1] for row in body):
        names = [*names, ""]
    else:
        names = ["", *names]
    return tuple(names) if len(names) == width and not any(map(NUMERAL.fullmatch, names)) else None
