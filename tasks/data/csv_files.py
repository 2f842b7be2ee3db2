"""Reads CSV as people have it: separator, quotes, header, decimal mark, encoding and compression are found and told."""

import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from scorefleet.tasks import config
from scorefleet.tasks.data.numerals import NULL_WORDS, has_digits, is_number_like, is_numeric, read_columns
from scorefleet.tasks.data.plain_text import decode, unpack
from scorefleet.tasks.data.text_layout import NO_SEPARATOR, Layout, layout_of, one_blank

BLOCK_BYTES = 2**24
SEPARATOR_NAMES = {"\t": "tab", " ": "blanks", "": "none (one column)"}
FEWEST_NUMBERED = 3
CUT_ENDS = (".", ",", "e", "E", "-", "+")


def read_csv(data: bytes, told: config.CSV) -> tuple[pa.Table, str]:
    """Return the table in the bytes of a CSV file, and in words how they were read.

    Columns are int64, float64, truth values, times or text. Raises `ValueError` or `pa.ArrowInvalid`.
    """
    unpacked, compression = unpack(data)
    text, encoding = decode(unpacked, told.encoding)
    layout = layout_of(text, told)
    if layout.separator == " ":
        text = one_blank(text)
    fields = _fields(text, layout)
    if not len(fields[0]):
        raise ValueError("it has no rows")
    if not text.endswith(b"\n"):
        _require_whole(fields[-1].combine_chunks())
    names, columns, decimal = _columns(fields, layout, told)
    words = [
        f"separator {SEPARATOR_NAMES.get(layout.separator, layout.separator)}",
        f"decimal mark {decimal}",
        "names of columns in the file" if names else "no names of columns, so they are x0, x1, ...",
        encoding,
        *([compression] if compression else []),
        *([f"{layout.num_skipped} lines above the table"] if layout.num_skipped else []),
        *([] if text.endswith(b"\n") else ["no line end after the last row, so check that it is whole"]),
    ]
    names = names or [f"x{k}" for k in range(len(columns))]
    return _without_trailing(pa.Table.from_arrays(columns, names=names)), ", ".join(words)


def _fields(text: bytes, layout: Layout) -> list[pa.ChunkedArray]:
    """Return all fields as text, column by column."""
    names = [str(k) for k in range(layout.width)]
    table = pyarrow.csv.read_csv(
        io.BytesIO(text),
        read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, skip_rows=layout.num_skipped, column_names=names),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=layout.separator or NO_SEPARATOR,
            quote_char=layout.quote or False,
            newlines_in_values=bool(layout.quote),
        ),
        convert_options=pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in names}),
    )
    return table.columns


def _require_whole(last: pa.StringArray) -> None:
    """Refuse a file that ends within a number, as far as that can be seen."""
    if len(last) < 3:
        return
    end = last[-1].as_py()
    digits = pc.replace_substring_regex(last, r"^.*[.,]", "")  # behind a decimal mark
    lengths = [pc.utf8_length(texts).to_numpy(zero_copy_only=False) for texts in (last, digits)]
    is_shortest = any(length[-1] < length[1:-1].min() for length in lengths)
    if is_shortest or end.endswith(CUT_ENDS):
        raise ValueError(
            f"it is cut off in its last row: {end!r} is followed by no line end, and is shorter than those above it; "
            "write the file again, or end its last line if it is whole"
        )


def _columns(
    fields: list[pa.ChunkedArray], layout: Layout, told: config.CSV
) -> tuple[list[str] | None, list[pa.ChunkedArray], str]:
    """Return the names of the columns if they have any, the columns as numbers where they are, and the decimal mark."""
    if layout.names:
        return list(layout.names), *read_columns(fields, told.decimal)
    below, decimal = read_columns([column.slice(1) for column in fields], told.decimal)
    if told.header or (told.header is None and _is_header([column.slice(0, 1) for column in fields], below, fields)):
        return [column[0].as_py().strip() for column in fields], below, decimal
    return None, *read_columns(fields, told.decimal)


def _is_header(first: list[pa.ChunkedArray], below: list[pa.ChunkedArray], fields: list[pa.ChunkedArray]) -> bool:
    """Return whether the first row names the columns: words above numbers, or whole numbers above decimals (years), or
    0, 1, 2, ... (pandas). Where no column holds numbers it is taken to.
    """
    numeric = [k for k, column in enumerate(below) if is_numeric(column)]
    words = [first[k][0].as_py().strip() for k in numeric]
    if any(word not in NULL_WORDS and not is_number_like(pa.chunked_array([[word]]))[0].as_py() for word in words):
        return True
    named = [word for word in words if word]
    if named == [str(k) for k in range(len(named))] and len(named) >= FEWEST_NUMBERED:
        return True
    bodies = [fields[k].slice(1) for k in numeric]
    return 1 < len(set(named)) == len(words) and all(map(str.isdigit, named)) and not any(map(has_digits, bodies))


def _without_trailing(table: pa.Table) -> pa.Table:
    """Return the table without the nameless, empty column of rows that end with a separator."""
    name, column = table.column_names[-1], table.columns[-1]
    is_empty = table.num_columns > 1 and not name and column.null_count == len(column)
    return table.remove_column(table.num_columns - 1) if is_empty else table
