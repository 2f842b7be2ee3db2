"""What data must be before anything is learned from them; each mistake is one `DataError` with its remedy."""

import difflib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorefleet.tasks.data.numerals import is_number_like
from scorefleet.tasks.data.schema import RESERVED_NAMES, array_field, shape_of
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.store.shards import rows_of

MIN_ROWS = 50
MAX_DIM = 4096
LARGEST_EXACT_INTEGER = 2**53


def check(table: pa.Table, label: str | None, where: str) -> pa.Table:
    """The table as it is modelled: numbers or one column of flat arrays, then the label.

    `where` names the data in the `DataError` for what cannot be modelled: few rows, missing values, text, ...
    """
    _check_names(table, label, where)
    if table.num_rows < MIN_ROWS:
        raise DataError(f"{where} has {_count(table.num_rows, 'row')}: at least {MIN_ROWS} are needed to learn from")
    modelled = [name for name in table.column_names if name != label]
    columns = {name: _numeric(table, name, where) for name in modelled}
    _check_width(table, modelled, where)
    for name, column in columns.items():
        _check_values(name, column, where)
    fields = [array_field(name, _value_type(table.field(name).type), shape_of(table.field(name))) for name in modelled]
    if label is not None:
        columns[label] = _label(table, label, where)
        fields.append(pa.field(label, columns[label].type))
    return pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))


def numeric_column(table: pa.Table, name: str, where: str) -> pa.Array:
    """Return a column of finite numbers, or of flat arrays of them; raise the `DataError` of `check` for any other."""
    column = _numeric(table, name, where)
    _check_values(name, column, where)
    return column


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _check_names(table: pa.Table, label: str | None, where: str) -> None:
    names = table.column_names
    for position, name in enumerate(names):
        if not name:
            raise DataError(
                f"column {position + 1} of {where} has no name: name it, or leave it out if it is a row index"
            )
        if name.casefold() in RESERVED_NAMES:
            raise DataError(
                f"column {name!r} of {where} has a name that the samples need for themselves, in either case: rename it"
            )
        other = next((other for other in names[:position] if other.casefold() == name.casefold()), None)
        if other is not None:
            raise DataError(
                f"columns {other!r} and {name!r} of {where} differ in case alone, which SQL does not tell apart: "
                f'rename one, or leave it out with --prepare.drop "[{name}]"'
            )
    if label is not None and label not in names:
        nearest = difflib.get_close_matches(label, names, 1, cutoff=0) or ["none"]
        raise DataError(f"{where} has no column {label!r} for prepare.label: the nearest is {nearest[0]!r}")
    if not set(names) - {label}:
        raise DataError(f"{where} has no columns to model: give at least one of numbers beside the label")


def _value_type(kind: pa.DataType) -> pa.DataType:
    while pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    return kind


def _numeric(table: pa.Table, name: str, where: str) -> pa.Array:
    """A column of numbers or of flat arrays of them, without nulls."""
    column = table[name].combine_chunks()
    kind = _value_type(column.type)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DataError(
            f"column {name!r} of {where} is {column.type}: mixed-type tables are not supported yet, so "
            f'leave it out with --prepare.drop "[{name}]", make it numbers (arrays: fixed-size lists of them), or name '
            f"it in prepare.label{_odd_values(column)}"
        )
    _check_nulls(name, column, where)
    shape = shape_of(table.field(name))
    if not shape:
        return column
    while pa.types.is_fixed_size_list(column.type):
        column = column.flatten()
        _check_nulls(name, column, where)
    return pa.FixedSizeListArray.from_arrays(column, int(np.prod(shape)))


def _odd_values(column: pa.Array) -> str:
    """Return which values of a column of text are no numbers, where most are."""
    if not pa.types.is_string(column.type):
        return ""
    text = pc.utf8_trim_whitespace(pc.fill_null(column, ""))
    is_odd = pc.invert(is_number_like(pa.chunked_array([text]))).to_numpy()
    if not 0 < is_odd.sum() < len(column) / 2:
        return ""
    first = int(is_odd.argmax())
    example = f"{column[first].as_py()!r} in row {first + 1:,}"
    return f"; not numbers: {is_odd.sum():,} of {len(column):,} values, first {example}"


def _check_nulls(name: str, column: pa.Array, where: str) -> None:
    if column.null_count:
        missing = _count(column.null_count, "missing value")
        raise DataError(f"column {name!r} of {where} has {missing}: fill them, or remove their rows")


def _check_width(table: pa.Table, modelled: list[str], where: str) -> None:
    """One array column, or a table of numbers, of a size that the networks of today can model."""
    sizes = {name: int(np.prod(shape_of(table.field(name)))) for name in modelled}
    arrays = [name for name in modelled if shape_of(table.field(name))]
    if arrays and len(modelled) > 1:
        other = next(name for name in modelled if name != arrays[0])
        raise DataError(
            f"{where} has the array column {arrays[0]!r} beside the column {other!r}: tables that mix "
            "them are not supported yet, so keep one array column, or numbers only (beside prepare.label)"
        )
    if sum(sizes.values()) > MAX_DIM:
        what, remedy = ("numbers a row", "larger images") if arrays else ("columns", "wider tables")
        raise DataError(f"{where} has {sum(sizes.values()):,} {what}: {remedy} than {MAX_DIM:,} are not supported yet")


def _check_values(name: str, column: pa.Array, where: str) -> None:
    kind = _value_type(column.type)
    size = column.type.list_size if pa.types.is_fixed_size_list(column.type) else 1
    rows = rows_of(pa.chunked_array([column]), size)
    if pa.types.is_floating(kind):
        is_bad = ~np.isfinite(rows).all(axis=1)
        if is_bad.any():
            num_bad, first = _count(int(is_bad.sum()), "row"), int(is_bad.argmax()) + 1
            raise DataError(
                f"column {name!r} of {where} is NaN or infinite in {num_bad}, first in row {first:,}: "
                "fill them, or remove the rows"
            )
    elif max(abs(int(rows.min())), abs(int(rows.max()))) > LARGEST_EXACT_INTEGER:
        raise DataError(
            f"column {name!r} of {where} has integers beyond 2^53, which are not kept exactly: make it floats"
        )


def _label(table: pa.Table, label: str, where: str) -> pa.Array:
    """Integers, booleans or text, whichever way they are encoded."""
    column = table[label].combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = pc.cast(column, pa.string())
    if not (pa.types.is_integer(column.type) or pa.types.is_boolean(column.type) or pa.types.is_string(column.type)):
        raise DataError(f"label {label!r} of {where} is {column.type}: a label must be integers, booleans or text")
    _check_nulls(label, column, where)
    return column
