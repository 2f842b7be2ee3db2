"""Real data sets that come with scikit-learn, as Arrow tables: no download."""

import difflib

import numpy as np
import pyarrow as pa

from scorefleet.tasks.data.files import columns_of
from scorefleet.tasks.errors import UsageError

PREFIX = "sklearn:"
NAMES = ("sklearn:digits", "sklearn:breast_cancer", "sklearn:wine")


def is_bundled(data: str) -> bool:
    """Whether `prepare.data` names a bundled set rather than a path; `UsageError` for an unknown one."""
    if data.startswith(PREFIX) and data not in NAMES:
        nearest = difflib.get_close_matches(data, NAMES, 1, cutoff=0)[0]
        raise UsageError(f"prepare.data {data!r} is not one of {', '.join(NAMES)}: the nearest is {nearest}")
    return data in NAMES


def load(data: str) -> tuple[pa.Table, str]:
    """A bundled set and the name of its label: 8x8 images (uint8, 0 to 16), or a table of features."""
    from sklearn import datasets  # takes a second, which only those who ask for these sets should wait

    bunch = getattr(datasets, "load_" + data.removeprefix(PREFIX))()
    target = bunch.target.astype(np.int8)
    if data == "sklearn:digits":
        return columns_of("image", bunch.images.astype(np.uint8)).append_column("digit", pa.array(target)), "digit"
    features = {str(name): column for name, column in zip(bunch.feature_names, bunch.data.T, strict=True)}
    return pa.table(features).append_column("target", pa.array(target)), "target"
