"""Reads the rows that a user asks a model about, in whatever holds them, as a table of the model's columns."""

import difflib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scorefleet.tasks import config
from scorefleet.tasks.console import notify
from scorefleet.tasks.data.checks import numeric_column
from scorefleet.tasks.data.files import read_source
from scorefleet.tasks.data.frames import held
from scorefleet.tasks.data.schema import Column, DataSchema
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.store.places import folder_of
from scorefleet.tasks.store.shards import rows_of


def read_rows(data: Any, schema: DataSchema) -> pa.Table:
    """Return the columns of `schema`, in its order and checked as data to learn from are; others are left out.

    `data` is a file or folder, an Arrow table, a DataFrame (whatever has Arrow's C stream, or is pandas'), a mapping of
    columns, or an array [row, dim], for images [row, *shape]. Raises `DataError`.
    """
    if isinstance(data, str | Path):
        source = read_source(folder_of(str(data)), config.CSV())
        for note in source.notes:
            notify(f"scorefleet: {note}")
        return _chosen(source.table, schema, str(data))
    where = f"the {type(data).__name__}"
    given = held(data)
    return _of_array(given, schema, where) if isinstance(given, np.ndarray) else _chosen(given, schema, where)


def is_possible(x: np.ndarray, column: Column) -> np.ndarray:
    """Which rows [row, size] of a column hold values that its draws can have: whole numbers are rounded and clipped."""
    if not column.is_whole:
        return np.ones(len(x), dtype=bool)
    return ((x == np.rint(x)) & (x >= column.minimum) & (x <= column.maximum)).all(axis=1)


def values_of(table: pa.Table, column: Column) -> np.ndarray:
    """Return the numbers of a column, float64 [row, size]."""
    return rows_of(table[column.name], column.size).astype(np.float64)


def _chosen(table: pa.Table, schema: DataSchema, where: str) -> pa.Table:
    chosen = {}
    for column in schema.columns:
        if column.name not in table.column_names:
            nearest = difflib.get_close_matches(column.name, table.column_names, 1, cutoff=0) or ["none"]
            raise DataError(
                f"{where} has no column {column.name!r}, which the model has: the nearest is {nearest[0]!r}"
            )
        chosen[column.name] = _of_shape(table, column, where)
    return pa.table(chosen)


def _of_shape(table: pa.Table, column: Column, where: str) -> pa.Array:
    """A column of numbers, or of arrays with as many numbers as the model's, which lists of any length may be."""
    if table.column_names.count(column.name) > 1:
        raise DataError(f"{where} has several columns {column.name!r}: leave out all but one")
    given = table.column(column.name)
    if column.shape and (pa.types.is_list(given.type) or pa.types.is_large_list(given.type)):
        lengths = given.combine_chunks().value_lengths().unique().to_pylist()
        if lengths == [column.size]:
            given = given.cast(pa.list_(given.type.value_type, column.size))
    if not _fits(given.type, column):
        wanted = f"arrays of {column.size} numbers, of shape {column.shape}" if column.shape else "numbers"
        raise DataError(f"column {column.name!r} of {where} is {given.type}, but the model's holds {wanted}")
    part = pa.Table.from_arrays([given], schema=pa.schema([table.field(column.name).with_type(given.type)]))
    return numeric_column(part, column.name, where)


def _fits(kind: pa.DataType, column: Column) -> bool:
    """Whether a type holds as many numbers a row as the model's column."""
    size, is_array = 1, pa.types.is_fixed_size_list(kind)
    while pa.types.is_fixed_size_list(kind):
        size, kind = size * kind.list_size, kind.value_type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return is_number and size == column.size and is_array == bool(column.shape)


def _of_array(array: np.ndarray, schema: DataSchema, where: str) -> pa.Table:
    shape = schema.shape or (schema.dim,)
    if array.dtype.kind not in "iuf" or array.shape[1:] not in (shape, (schema.dim,)):
        raise DataError(
            f"{where} is {array.dtype} of shape {array.shape}, but must be numbers of shape (rows, {_joined(shape)})"
        )
    flat = np.ascontiguousarray(array.reshape(len(array), schema.dim))
    if schema.is_array:
        (column,) = schema.columns
        values = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), schema.dim)
        return _chosen(pa.table({column.name: values}), schema, where)
    names = [column.name for column in schema.columns]
    return _chosen(pa.table(dict(zip(names, flat.T.copy(), strict=True))), schema, where)


def _joined(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
