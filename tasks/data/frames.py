"""What people hold data in, as an Arrow table."""

from typing import Any

import numpy as np
import pyarrow as pa

from scorefleet.tasks.errors import DataError


def held(data: Any) -> pa.Table | np.ndarray:
    """Return the table that `data` is (a DataFrame of pandas or polars, whatever has Arrow's C stream, a mapping of
    columns), or the array (of numpy, torch, or whatever numpy reads). Raises `DataError`.
    """
    if isinstance(data, pa.Table):
        return data
    if hasattr(data, "ndim") and hasattr(data, "__array__") and not hasattr(data, "columns"):  # not a DataFrame
        return array(data, f"the {type(data).__name__}")
    try:
        return pa.table(data)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise _unreadable(f"the {type(data).__name__}", error) from error


def array(data: Any, what: str) -> np.ndarray:
    """Return what numpy makes of data. Raises `DataError`."""
    try:
        return np.asarray(data)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: torch, of gradients
        raise _unreadable(what, error) from error


def _unreadable(what: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:200]
    return DataError(
        f"{what} cannot be read as a table ({reason}): give a file, a DataFrame, an Arrow table or an array"
    )
