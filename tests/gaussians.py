"""Models that are exactly Gaussian, since their networks add nothing, as the files that training would leave."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from scorefleet.tasks.data.schema import DataSchema
from scorefleet.tasks.data.standardise import fit
from scorefleet.tasks.ebm import model

ARCHITECTURE = {"dim": 0, "energy": "scalar_head", "width": 8, "num_blocks": 1, "num_conditions": 0}


def rows_of(mean, covariance, seed, num_rows=500):
    """Rows whose sample mean and covariance (of denominator n - 1) are exactly these."""
    white = np.random.default_rng(seed).normal(size=(num_rows, len(mean)))
    white -= white.mean(0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T).reshape(len(mean), -1))).T
    return np.array(mean) + white @ np.linalg.cholesky(np.array(covariance)).T


def write(folder: Path, rows: np.ndarray, names: str, dtype: str = "float64") -> DataSchema:
    """The folder of a Gaussian with the mean and covariance of the rows; one letter of `names` a column."""
    rows, folder = rows.astype(dtype), Path(folder)
    everything = np.arange(len(rows))
    schema = DataSchema(tuple(fit(name, (), rows[:, [k]], everything) for k, name in enumerate(names)))
    table = pa.table({name: rows[:, k] for k, name in enumerate(names)})
    description = ARCHITECTURE | {"dim": len(names), "data_digest": names}
    torch.manual_seed(0)
    network = model.build(**{key: description[key] for key in ARCHITECTURE})
    network.fit_anchor(torch.from_numpy(schema.encode(table)))
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in model.to_files(network, description).items():
        (folder / name).write_bytes(data)
    (folder / "schema.json").write_text(schema.to_json())
    return schema


def law(rows: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of `x'/sqrt(1-beta)` in the user's units: rows plus noise of sigma of each column's sd."""
    sigma2 = beta / (1 - beta)
    return rows.mean(0), np.cov(rows.T).reshape(rows.shape[1], -1) + sigma2 * np.diag(rows.var(0))


def words(folder: Path) -> dict:
    """The description of a model."""
    return json.loads((folder / "model.json").read_text())
