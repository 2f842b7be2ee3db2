"""Coordinates that a user fixes: from numbers and `.npy` files in the user's units to standardised coordinates, and
back into the rows of a sample store as they were given.

All arrays of values here are float64 [dim], not a number (NaN) where a coordinate is free.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.data.schema import Column, DataSchema
from scorefleet.tasks.ebm.dequantise import SHARES, Grid, centre
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.store.shards import rows_of

Fixed = Mapping[str, float | str]
"""Column -> its value, or for an array column the path of a `.npy` file of its shape in which NaN is free."""


def read(fixed: Fixed, schema: DataSchema) -> np.ndarray:
    """The user's values of all coordinates; one line for what cannot be fixed."""
    names = [column.name for column in schema.columns]
    for name in fixed:
        if name not in names:
            raise UsageError(f"fixed.{name} is no column of the model: it has {', '.join(names)}")
    values = np.concatenate([_values(column, fixed.get(column.name)) for column in schema.columns])
    num_fixed = int(np.isfinite(values).sum())
    if fixed and not 0 < num_fixed < len(values):
        raise UsageError(
            f"fixed must hold some coordinates and leave some free, but got {num_fixed} of {len(values)} fixed"
        )
    return values


def _values(column: Column, given: float | str | None) -> np.ndarray:
    """The values of a column's elements, flat."""
    if given is None:
        return np.full(column.size, np.nan)
    if not column.shape:
        if isinstance(given, str) or not np.isfinite(given):
            raise UsageError(f"fixed.{column.name} must be a number, but got {given!r}")
        values = np.array([given], dtype=np.float64)
    elif isinstance(given, str):
        values = _from_file(column, Path(given))
    else:
        raise UsageError(f"fixed.{column.name} is of arrays: give a .npy file of shape {column.shape}, not {given!r}")
    if column.is_whole:
        _require_whole(column, values[~np.isnan(values)])
    return values


def _from_file(column: Column, path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"fixed.{column.name}: {path} cannot be read as a .npy file ({error})") from error
    if not isinstance(values, np.ndarray) or values.shape != column.shape or values.dtype.kind not in "fiu":
        got = f"{values.dtype} of shape {values.shape}" if isinstance(values, np.ndarray) else "several arrays"
        raise DataError(f"fixed.{column.name}: {path} must hold numbers of shape {column.shape}, but holds {got}")
    flat = values.astype(np.float64).reshape(-1)
    if np.isinf(flat).any():
        raise DataError(f"fixed.{column.name}: {path} holds infinite values; NaN is free, anything else a number")
    return flat


def _require_whole(column: Column, values: np.ndarray) -> None:
    is_allowed = (values == np.rint(values)) & (values >= column.minimum) & (values <= column.maximum)
    if not is_allowed.all():
        raise UsageError(
            f"fixed.{column.name} must be whole numbers from {column.minimum:g} to {column.maximum:g}, as in the data "
            f"of the model, but got {values[~is_allowed][0]:g}"
        )
    if not column.share_minimum:
        raise UsageError(f"fixed.{column.name}: the model is too old to fix whole numbers in it; train it again")


def standardised(values: np.ndarray, schema: DataSchema) -> Float[Tensor, " dim"]:
    """Where the energy knows the values: standardised, whole numbers at the centre of what stands for them."""
    z = torch.from_numpy(((values - schema.location) / schema.scale).astype(np.float32))
    return centre(z[None], learned_grid(schema))[0]


def learned_grid(schema: DataSchema) -> Grid:
    """The grid of the rows that the model learned from, whose shares at its ends the schema holds."""
    lowest, highest = (
        torch.cat([_shares(column, end) for column in schema.columns]) for end in ("share_minimum", "share_maximum")
    )
    step, minimum, maximum = (torch.from_numpy(part) for part in schema.grid())
    return Grid(step, minimum, maximum, lowest, highest)


def _shares(column: Column, end: str) -> Float[Tensor, " size"]:
    shares = getattr(column, end)
    return torch.tensor(shares if shares else (0.0,) * column.size).clamp(*SHARES)


@dataclass(frozen=True)
class FilledSchema(DataSchema):
    """A schema whose rows hold given values where there are any, exactly and in the types of their columns."""

    fixed: tuple[float, ...] = ()

    def decode(self, x: np.ndarray) -> dict[str, pa.Array]:
        """The user's columns of whole rows; what is fixed is as it was given."""
        ends = np.cumsum([column.size for column in self.columns])
        parts = np.split(np.array(self.fixed), ends[:-1])
        decoded = super().decode(x)
        return {
            column.name: _put(column, decoded[column.name], part)
            for column, part in zip(self.columns, parts, strict=True)
        }


def _put(column: Column, values: pa.Array, given: np.ndarray) -> pa.Array:
    """A decoded column with the given values in it."""
    rows = rows_of(pa.chunked_array([values]), column.size).copy()
    is_given = ~np.isnan(given)
    rows[:, is_given] = given[is_given].astype(rows.dtype)
    flat = pa.array(rows.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, column.size) if column.shape else flat
