"""Fits a column's standardisation to the training rows, and describes all its rows."""

from typing import Any

import numpy as np

from scorefleet.tasks.data.schema import Column
from scorefleet.tasks.errors import DataError

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
ROUNDINGS = 1
"""A standard deviation of no more roundings of the mean, in the type of the data, is no variation."""


def fit(name: str, shape: tuple[int, ...], rows: np.ndarray, training: np.ndarray) -> Column:
    """The column of values `rows` [row, size]: each element's mean, one pooled standard deviation.

    Both are in float64 and those of the rows `training` (indices); minimum and maximum are those of all.
    Raises `DataError` for a column that does not vary there, up to rounding.
    """
    x = rows[training].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        centred = x - x[0]  # so that no digit is lost far from zero
        location = x[0] + centred.mean(axis=0)
        scale = float(np.sqrt(centred.var(axis=0).mean()))
    if not np.isfinite(scale):
        raise DataError(f"column {name!r} has values too large to square ({np.abs(x).max():.3g}): rescale it")
    rounding = np.finfo(rows.dtype).eps if rows.dtype.kind == "f" else 0.0
    if scale <= ROUNDINGS * rounding * np.abs(location).max():
        raise DataError(
            f"column {name!r} is constant ({x.flat[0]:g}) in the {len(x):,} rows to learn from: leave it out"
        )
    minimum, maximum = rows.min(), rows.max()
    is_whole = bool((rows == np.rint(rows)).all())
    return Column(
        name=name,
        dtype=rows.dtype.name,
        shape=shape,
        location=tuple(location.tolist()),
        scale=scale,
        minimum=float(minimum),
        maximum=float(maximum),
        is_whole=is_whole,
        share_minimum=tuple((rows[training] == minimum).mean(axis=0).tolist()) if is_whole else (),
        share_maximum=tuple((rows[training] == maximum).mean(axis=0).tolist()) if is_whole else (),
    )


def describe(rows: np.ndarray) -> dict[str, Any]:
    """Statistics of all values of a column, in the user's units."""
    x = rows.astype(np.float64)
    return {
        "dtype": rows.dtype.name,
        "num_values": x.size,
        "minimum": float(x.min()),
        "maximum": float(x.max()),
        "mean": float(x.mean()),
        "standard_deviation": float(x.std()),
        "quantiles": {str(q): float(value) for q, value in zip(QUANTILES, np.quantile(x, QUANTILES), strict=True)},
    }
