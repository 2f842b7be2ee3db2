"""What the columns of a data set are, and the way between user's units and standardised coordinates.

`z = (x - location) / scale`, in float64, then float32. A table's column has its own mean and standard
deviation. An array column (an image) has the mean of each element but one standard deviation for all: each
element's own would blow up the corners of an image, which hardly vary.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from scorefleet.tasks.errors import DataError
from scorefleet.tasks.store.shards import rows_of

RESERVED_NAMES = ("chain", "superchain", "draw", "position", "log_density", "log_weight", "accepted")
"""Columns of a sample store that stand beside the user's own."""


@dataclass(frozen=True)
class Column:
    """A modelled column: its numpy type, the shape of a row (`()` for a number), and how it is standardised.

    `minimum` and `maximum` are those of all rows of the data. Where all values are whole numbers, of an integer type or
    not, draws are rounded, and clipped to that range; `share_minimum` and `share_maximum` are the shares of the rows to
    learn from that lie at its ends, element by element.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    location: tuple[float, ...]
    scale: float
    minimum: float
    maximum: float
    is_whole: bool
    share_minimum: tuple[float, ...] = ()
    share_maximum: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Numbers in a row."""
        return math.prod(self.shape)

    def encode(self, values: pa.ChunkedArray) -> np.ndarray:
        """Standardised coordinates, float32 [row, size]."""
        x = rows_of(values, self.size).astype(np.float64)
        return ((x - np.array(self.location)) / self.scale).astype(np.float32)

    def grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step, minimum and maximum of every element in standardised coordinates."""
        location = np.array(self.location)
        step = np.full(self.size, 1 / self.scale if self.is_whole else 0.0)
        return step, (self.minimum - location) / self.scale, (self.maximum - location) / self.scale

    def decode(self, z: np.ndarray) -> pa.Array:
        """From float [row, size]: the user's units and type; whole numbers rounded and clipped to their range."""
        x = z.astype(np.float64) * self.scale + np.array(self.location)
        dtype = np.dtype(self.dtype)
        if self.is_whole:
            x = np.clip(np.rint(x), self.minimum, self.maximum)
        else:
            x = np.clip(x, np.finfo(dtype).min, np.finfo(dtype).max)
        flat = pa.array(x.astype(dtype).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, self.size) if self.shape else flat


@dataclass(frozen=True)
class LabelColumn:
    """A column that is kept beside the data but not modelled."""

    name: str
    dtype: str


@dataclass(frozen=True)
class DataSchema:
    """The modelled columns in order, and the label if there is one."""

    columns: tuple[Column, ...]
    label: LabelColumn | None = None

    @property
    def dim(self) -> int:
        """Coordinates of a row."""
        return sum(column.size for column in self.columns)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of a row that is one array, such as an image; None for a row of a table."""
        return next((column.shape for column in self.columns if column.shape), None)

    @property
    def is_array(self) -> bool:
        """Whether a row is one array rather than a table's columns."""
        return self.shape is not None

    @property
    def location(self) -> np.ndarray:
        """The user's value at 0 of every standardised coordinate, [dim]."""
        return np.concatenate([column.location for column in self.columns])

    @property
    def scale(self) -> np.ndarray:
        """What 1 in each standardised coordinate is in the user's units, [dim]."""
        return np.repeat([column.scale for column in self.columns], [column.size for column in self.columns])

    def encode(self, table: pa.Table) -> np.ndarray:
        """Standardised coordinates of a table's rows, float32 [row, dim]."""
        return np.concatenate([column.encode(table[column.name]) for column in self.columns], axis=1)

    def grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step (0 for real numbers), minimum and maximum of every coordinate, standardised, each float32 [dim]."""
        steps, lowest, highest = zip(*(column.grid() for column in self.columns), strict=True)
        return _joined(steps), _joined(lowest), _joined(highest)

    def decode(self, x: np.ndarray) -> dict[str, pa.Array]:
        """From float [row, dim]: the user's columns, units and types; `ValueError` for NaN or infinity."""
        if not np.isfinite(x).all():
            num_bad = int((~np.isfinite(x)).any(axis=1).sum())
            raise ValueError(f"{num_bad} of {len(x)} rows have coordinates that are not finite")
        ends = np.cumsum([column.size for column in self.columns])
        parts = np.split(x, ends[:-1], axis=1)
        return {column.name: column.decode(part) for column, part in zip(self.columns, parts, strict=True)}

    def to_json(self) -> str:
        """Text that `from_json` reads back without loss."""
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "DataSchema":
        """The schema of `to_json`."""
        document = json.loads(text)
        lists = ("shape", "location", "share_minimum", "share_maximum")
        columns = (column | {key: tuple(column.get(key, ())) for key in lists} for column in document["columns"])
        label = document["label"]
        return cls(tuple(Column(**column) for column in columns), LabelColumn(**label) if label else None)


def _joined(parts: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.concatenate(parts).astype(np.float32)


def read_schema(folder: Path) -> DataSchema:
    """Return the schema of prepared data, or of a model that was trained on them."""
    return DataSchema.from_json((folder / "schema.json").read_text(encoding="utf-8"))


def array_field(name: str, kind: pa.DataType, shape: tuple[int, ...]) -> pa.Field:
    """The field of a column of numbers of `kind`, or of flat, row-major arrays with their shape as metadata."""
    if not shape:
        return pa.field(name, kind)
    return pa.field(name, pa.list_(kind, math.prod(shape)), metadata={"shape": json.dumps(shape)})


def shape_of(field: pa.Field) -> tuple[int, ...]:
    """The shape of a row of a column, from its nested fixed-size lists, or a flat one and its metadata."""
    shape, kind = [], field.type
    while pa.types.is_fixed_size_list(kind):
        shape, kind = [*shape, kind.list_size], kind.value_type
    recorded = (field.metadata or {}).get(b"shape")
    return _recorded_shape(field.name, recorded, shape[0]) if recorded and len(shape) == 1 else tuple(shape)


def _recorded_shape(name: str, recorded: bytes, size: int) -> tuple[int, ...]:
    """What a file says of a column's shape, which must be one of its `size` numbers."""
    try:
        shape = tuple(json.loads(recorded))
        if all(type(length) is int and length >= 1 for length in shape) and math.prod(shape) == size:
            return shape
    except (ValueError, TypeError, RecursionError):
        pass
    said = recorded[:40].decode(errors="replace")
    raise DataError(f"column {name!r} has {size} numbers a row, but its metadata say shape {said!r}: leave it out")
