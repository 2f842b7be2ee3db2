"""A little of what a run registers."""

from pathlib import Path

import numpy as np
import safetensors.numpy

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Dataset, Evaluation, Model, Samples
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.records.journal import Journal

FILES = {"model.json", "weights.safetensors", "schema.json"}
Artifacts = tuple[Dataset, Model, Samples, Evaluation]


def context_of(root: Path, key: str = "a" * 64) -> Context:
    journal = Journal(root / "journal" / f"run-of-{key[0]}-{root.name}.jsonl")
    return Context(key, root / "register", "digits", 0, root, config.Cluster(), journal)


def artifacts_of(root: Path, is_converged: bool = True) -> Artifacts:
    for name in ("prepare", "train", "sample", "evaluate"):
        (root / name).mkdir(exist_ok=True)
    (root / "prepare" / "schema.json").write_text('{"columns": []}')
    (root / "train" / "model.json").write_text('{"dim": 64, "energy": "inner_product"}')
    weights = {"w": np.arange(6, dtype=np.float32)}
    (root / "train" / "weights.safetensors").write_bytes(safetensors.numpy.save(weights))
    (root / "sample" / "dataset.json").write_text('{"is_exact": true}')
    (root / "evaluate" / "evaluation.json").write_text("{}")
    return (
        Dataset(str(root / "prepare"), "d" * 64, {"train": 10}, 64),
        Model(str(root / "train"), "m" * 64),
        Samples(str(root / "sample"), "s" * 64, 10, str(root / "control"), str(root)),
        Evaluation(str(root / "evaluate"), is_converged, () if is_converged else ("Mode 3 is missing.",), {}),
    )


def embedded(root: Path) -> str:
    return f"sqlite:///{root}/mlflow.db"
