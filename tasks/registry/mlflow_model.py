"""A trained energy, or score, as an MLflow model of its own flavour: weights, description, schema, and log Z where it
has a density, with which `mlflow.pyfunc` scores rows by it; nothing pickled.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorefleet.tasks.dag.artifacts import Dataset, Model, Normaliser
from scorefleet.tasks.data.schema import Column, read_schema
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.records.provenance import digest_of

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array

FLAVOR = "scorefleet"
FILES = ("model.json", "weights.safetensors", "schema.json")
NORMALISER = "normaliser.json"
LOADER = "scorefleet.tasks.registry.pyfunc"


def write(
    folder: Path, dataset: Dataset, model: Model, normaliser: Normaliser | None, model_id: str, run_id: str
) -> None:
    """Fill `folder` with the files and `MLmodel`, which holds the sha256 of each."""
    from mlflow.models import Model as MlflowModel

    for name in FILES:
        shutil.copyfile(Path(dataset.uri if name == "schema.json" else model.uri) / name, folder / name)
    description = MlflowModel(run_id=run_id, model_id=model_id)
    if normaliser:
        (folder / NORMALISER).write_bytes(normaliser.to_json())
        description.signature = _signature(folder)
        description.add_flavor("python_function", loader_module=LOADER, data=".", env={})
    names = (*FILES, NORMALISER) if normaliser else FILES
    description.add_flavor(FLAVOR, files={name: digest_of(folder / name) for name in names})
    description.save(str(folder / "MLmodel"))


def _signature(folder: Path) -> "ModelSignature":
    """The user's columns in, `log_prob` in nats out."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema
    from mlflow.types.schema import ColSpec, TensorSpec

    schema = read_schema(folder)
    inputs: list[ColSpec | TensorSpec] = [ColSpec(_kind(column), column.name) for column in schema.columns]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec("double", "log_prob")]))


def _kind(column: Column) -> "str | Array":
    """MLflow's name of a column's type, the widest of its kind: MLflow takes a narrower one for it, and no wider."""
    from mlflow.types.schema import Array

    kind = "double" if column.dtype.startswith("float") else "long"
    return Array(kind) if column.shape else kind


def require_flavor(description: Path, model_uri: str) -> dict[str, str]:
    """The sha256 of each file of a model of ours, by the names that a model's files can have; any other kind of model
    is refused.
    """
    from mlflow.models import Model as MlflowModel

    flavors: dict[str, Any] = MlflowModel.load(str(description)).flavors
    if FLAVOR not in flavors:
        kinds = ", ".join(sorted(flavors)) or "none"
        raise UsageError(
            f"{model_uri} is not a scorefleet model (its flavours: {kinds}): name one that `run` registered"
        )
    files: dict[str, str] = flavors[FLAVOR]["files"]
    return {name: files[name] for name in (*FILES, NORMALISER) if name in FILES or name in files}


def require_whole(folder: Path, digests: dict[str, str], model_uri: str) -> None:
    """Refuse files that are not the ones that were registered."""
    for name, digest in digests.items():
        if digest_of(folder / name) != digest:
            raise StorageError(
                f"{name} of {model_uri} is damaged: its sha256 is not the registered one; register it again"
            )
