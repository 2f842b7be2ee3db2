"""Where two tables of the same rows differ."""

import numpy as np
import pyarrow as pa

from scorefleet.tasks.store.shards import rows_of


def first_difference(stored: pa.Table, made: pa.Table) -> str:
    """The first row, and its first column, that differs bit for bit; how many rows do, and by how much at most."""
    if stored.schema != made.schema:
        return f"columns are {', '.join(made.column_names)} and were {', '.join(stored.column_names)}, or their types"
    if len(stored) != len(made):
        return f"{len(made):,} rows, and there were {len(stored):,}"
    first: tuple[int, str] | None = None
    is_other, largest = np.zeros(len(stored), dtype=bool), 0.0
    for name in stored.column_names:
        old, new = _numbers(stored, name), _numbers(made, name)
        differs = (_bits(old) != _bits(new)).reshape(len(stored), -1).any(1)
        if differs.any():
            row = int(differs.argmax())
            first = min(first, (row, name), key=lambda place: place[0]) if first else (row, name)
            largest = max(largest, float(np.abs(new.astype(np.float64) - old.astype(np.float64)).max()))
            is_other |= differs
    if first is None:
        return "no row differs"
    row, name = first
    old, new = _numbers(stored, name)[row], _numbers(made, name)[row]
    element = int((_bits(old) != _bits(new)).argmax())
    where = f"first in row {row} column {name}[{element}], {new[element]!s} for {old[element]!s}"
    return f"{where}; {int(is_other.sum()):,} of {len(stored):,} rows differ, by at most {largest:.3g}"


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    kind = table.schema.field(name).type
    return np.ascontiguousarray(rows_of(table[name], kind.list_size if pa.types.is_fixed_size_list(kind) else 1))


def _bits(values: np.ndarray) -> np.ndarray:
    return values.view(f"u{values.dtype.itemsize}")
