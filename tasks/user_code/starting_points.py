"""Reads the points that a user gives with `--init`: where the chains of the warm-up start, in the user's coordinates.

FILE is .npy ([n, dim]), .csv or .parquet (a column a coordinate, or one of lists); MODULE:FUNCTION takes no argument
and returns the points.
"""

import functools
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch

from scorefleet.tasks import config
from scorefleet.tasks.config.target import is_points_file
from scorefleet.tasks.errors import DataError, UsageError, UserError
from scorefleet.tasks.mcmc.coordinates.constraints import Support
from scorefleet.tasks.user_code import loading
from scorefleet.tasks.user_code.guard import contained, described


class StartingPoints(NamedTuple):
    """Points [n, dim] in float64 in the user's coordinates, and the sha256 of their numbers."""

    x: np.ndarray
    digest: str


def digest_of(chains: config.Chains) -> str | None:
    """What a step's key holds of the points; None where none are given."""
    return read(chains.init, chains.dim).digest if chains.init else None


@functools.cache
def read(init: str, dim: int) -> StartingPoints:
    """The points, read once in a process, so that a key holds what was used; `DataError` where they are no points [n,
    dim] of finite numbers."""
    x = READERS[Path(init).suffix](init) if is_points_file(init) else _returned(init)
    if x.ndim == 1 and dim == 1:
        x = x[:, None]
    if x.ndim != 2 or x.shape[1] != dim or not len(x):
        raise DataError(f"--init {init} must give points of shape [n, {dim}], n at least 1, but has {list(x.shape)}")
    bad = np.flatnonzero(~np.isfinite(x).all(1))
    if len(bad):
        raise DataError(f"--init {init}: row {bad[0] + 1} of {len(x):,} is not finite; leave out such rows")
    return StartingPoints(x, hashlib.sha256(repr(x.shape).encode() + np.ascontiguousarray(x).tobytes()).hexdigest())


def to_free(init: str, x: np.ndarray, support: Support) -> torch.Tensor:
    """The points in free coordinates; `DataError` naming the first that is outside the support."""
    given = torch.from_numpy(x)
    z = support.to_free(given)
    back, _ = support.constrain(z)
    ends, _ = support.constrain(torch.tensor([[-1.0], [1.0]]).double().expand(2, z.shape[1]))
    tolerance = 1e-6 * given.abs() + 1e-9 * (ends[1] - ends[0]).abs()  # of a wide box the rounding is its width's
    is_inside = z.isfinite().all(1) & ((back - given).abs() <= tolerance).all(1)
    outside = (~is_inside).nonzero()[:, 0]
    if len(outside):
        row = int(outside[0])
        raise DataError(
            f"--init {init}: row {row + 1} of {len(x):,}, {x[row].tolist()[:6]}, is outside the support; give points "
            "inside it, or declare another --support"
        )
    return z


def _returned(init: str) -> np.ndarray:
    function = loading.load(init, "init").function
    try:
        with contained(f"init {init!r}", DataError, "return the points instead"):
            points: Any = function()
    except UserError:
        raise
    except Exception as error:  # whatever the user's own code raises
        raise DataError(f"init {init!r} raised {described(error)}") from error
    return _numbers(init, lambda: points.detach().cpu() if isinstance(points, torch.Tensor) else points)


def _numbers(init: str, made: Callable[[], Any]) -> np.ndarray:
    try:
        return np.asarray(made(), dtype=np.float64)
    except (ValueError, TypeError, EOFError) as error:
        raise DataError(f"--init {init} must give numbers [n, dim]: {str(error).partition(chr(10))[0]}") from error


def _bytes(init: str) -> bytes:
    try:
        return Path(init).read_bytes()
    except OSError as error:
        raise UsageError(f"--init {init} cannot be read ({error.strerror}): give a file, or MODULE:FUNCTION") from error


def _npy(init: str) -> np.ndarray:
    data = io.BytesIO(_bytes(init))
    return _numbers(init, lambda: np.load(data, allow_pickle=False))


def _csv(init: str) -> np.ndarray:
    """With or without a header: names are no numbers."""
    data = _bytes(init)
    first = data.partition(b"\n")[0].decode(errors="replace").strip()
    options = pyarrow.csv.ReadOptions(autogenerate_column_names=all(_is_number(word) for word in first.split(",")))
    return _columns(init, lambda: pyarrow.csv.read_csv(io.BytesIO(data), read_options=options))


def _parquet(init: str) -> np.ndarray:
    data = _bytes(init)
    return _columns(init, lambda: pyarrow.parquet.read_table(io.BytesIO(data)))


def _columns(init: str, read_table: Callable[[], pa.Table]) -> np.ndarray:
    try:
        columns = [column.to_pylist() for column in read_table().columns]
    except pa.ArrowException as error:
        raise DataError(f"--init {init} cannot be read: {str(error).partition(chr(10))[0]}") from error
    return _numbers(init, lambda: columns[0] if len(columns) == 1 else np.array(columns, dtype=np.float64).T)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


READERS: dict[str, Callable[[str], np.ndarray]] = {".npy": _npy, ".csv": _csv, ".parquet": _parquet}
