"""What `mlflow.pyfunc.load_model` loads a registered model by, so that MLflow's own tools can score rows with it."""

from pathlib import Path
from typing import Any

import pandas as pd

from scorefleet.tasks.registry.learned import LearnedDensity, of_folder


class LogDensity:
    """The log density of each row, in nats, in the column `log_prob`."""

    def __init__(self, density: LearnedDensity):
        self._density = density

    def predict(self, rows: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score the rows of a DataFrame that has the model's columns; MLflow gives it `params`, which are none."""
        return pd.DataFrame({"log_prob": self._density.log_prob(rows)}, index=rows.index)


def _load_pyfunc(path: str) -> LogDensity:
    """Return the model in a folder; MLflow calls this name."""
    return LogDensity(of_folder(Path(path)))
