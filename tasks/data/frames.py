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
    is_array = hasattr(data, "ndim") and hasattr(data, "__array__") and not hasattr(data, "columns")  # not a DataFrame
    try:
        return np.asarray(data) if is_array else pa.table(data)
    except (TypeError, ValueError, RuntimeError, pa.ArrowException) as error:  # RuntimeError: torch, of gradients
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"the {type(data).__name__} cannot be read as a table ({reason}): give a file, a DataFrame, an Arrow table "
            "or an array"
        ) from error
