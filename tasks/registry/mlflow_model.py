"""A trained energy, or score, as an MLflow model of its own flavour: weights, description, schema; nothing pickled."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorefleet.tasks.dag.artifacts import Dataset, Model
from scorefleet.tasks.errors import StorageError, UsageError

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

FLAVOR = "scorefleet"
FILES = ("model.json", "weights.safetensors", "schema.json")


def write(folder: Path, dataset: Dataset, model: Model, model_id: str, run_id: str) -> None:
    """Fill `folder` with the three files and `MLmodel`, which holds the sha256 of each."""
    from mlflow.models import Model as MlflowModel

    sources = {name: Path(dataset.uri if name == "schema.json" else model.uri) / name for name in FILES}
    for name, source in sources.items():
        shutil.copyfile(source, folder / name)
    description = MlflowModel(run_id=run_id, model_id=model_id, signature=_signature(folder))
    description.add_flavor(FLAVOR, files={name: _sha256(folder / name) for name in FILES})
    description.save(str(folder / "MLmodel"))


def _signature(folder: Path) -> "ModelSignature":
    """`(x [row, dim], logit_beta [row]) -> log_density [row]`, float32, in nats; a score-only model gives `score
    [row, dim]` and no log density.
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from scorefleet.tasks.ebm.model import is_score_only

    float32, description = np.dtype("float32"), json.loads((folder / "model.json").read_bytes())
    dim = description["dim"]
    inputs = Schema([TensorSpec(float32, (-1, dim), "x"), TensorSpec(float32, (-1,), "logit_beta")])
    density, score = TensorSpec(float32, (-1,), "log_density"), TensorSpec(float32, (-1, dim), "score")
    return ModelSignature(inputs=inputs, outputs=Schema([score if is_score_only(description) else density]))


def require_flavor(description: Path, model_uri: str) -> dict[str, str]:
    """The sha256 of each file of a model of ours; any other kind of model is refused."""
    from mlflow.models import Model as MlflowModel

    flavors: dict[str, Any] = MlflowModel.load(str(description)).flavors
    if FLAVOR not in flavors:
        kinds = ", ".join(sorted(flavors)) or "none"
        raise UsageError(
            f"{model_uri} is not a scorefleet model (its flavours: {kinds}): name one that `run` registered"
        )
    return flavors[FLAVOR]["files"]


def require_whole(folder: Path, digests: dict[str, str], model_uri: str) -> None:
    """Refuse files that are not the ones that were registered."""
    for name in FILES:
        if _sha256(folder / name) != digests[name]:
            raise StorageError(
                f"{name} of {model_uri} is damaged: its sha256 is not the registered one; register it again"
            )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
