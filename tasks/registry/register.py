"""Step 6: record the model in MLflow as a model version, which gets the alias if no other has it.

The first version whose chains converged is the champion, until `scorefleet retrain` has judged a better one on the same
rows or the user moves the alias: a run that tries something must not change what others are served. A model that
failed gets its version, marked so, and no alias: who asks for the champion must never receive a model that failed.
"""

import dataclasses
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.dag.artifacts import Dataset, Evaluation, Model, Normaliser, Registration, Samples
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.errors import ServiceError
from scorefleet.tasks.records.once import found_or_made
from scorefleet.tasks.records.provenance import git_commit, versions
from scorefleet.tasks.records.tracking_server import (
    connect,
    is_made,
    open_run,
    require_experiment,
    service,
    tracking_uri,
)
from scorefleet.tasks.registry import mlflow_model
from scorefleet.tasks.registry.alias import Registry, champion_of
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.document import NAME as DATASET
from scorefleet.tasks.store.locks import locked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

KEY_TAG = "scorefleet.key"


@dataclass(frozen=True)
class Record:
    """Where to register, and `recipe`, a digest of all of the configuration that makes a model what it is."""

    register: config.Register
    recipe: str

    @classmethod
    def of(cls, run: commands.Run) -> "Record":
        """The recipe leaves out where the data are, which may be a new file every night."""
        parts = [run.prepare, run.train, run.sample, run.normalise, run.retrain]
        made = [run.seed, [dataclasses.asdict(part) | {"data": None} for part in parts]]
        return cls(run.register, hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest())


def register(
    config: Record,
    context: Context,
    dataset: Dataset,
    model: Model,
    samples: Samples,
    evaluation: Evaluation,
    normaliser: Normaliser | None = None,
) -> Registration:
    """Find or make the version that carries this step's key: a second call makes nothing twice."""
    settings, registry = config.register, Registry(config.register, context.name, context.root)
    uri = tracking_uri(settings, context.root)
    facts = _facts(context, dataset, model, samples, evaluation) | {"recipe": config.recipe}
    facts |= {"normaliser_uri": normaliser.uri} if normaliser else {}
    context.journal.tags(facts)
    objects.replace(context.folder, DATASET, _description(samples))  # the store may be in a bucket
    context.journal.artifact(context.folder / DATASET, "samples")
    context.journal.artifact(Path(evaluation.uri) / "evaluation.json", "evaluation")
    with service(uri):
        client = connect(uri)
        version = _find_version(client, context)
        if version is None:
            artifact_root = context.root / "mlartifacts"
            run_id = open_run(client, context.journal, settings.experiment, artifact_root, context.name)
            model_id = _log_model(client, context, run_id, dataset, model, normaliser)
            version = _create_version(client, context, run_id, model_id, facts)
        with locked(registry.lock):
            champion = champion_of(client, context.name, settings.alias)
            if champion is None and evaluation.is_converged and not evaluation.not_finite:
                client.set_registered_model_alias(context.name, settings.alias, version.version)
                champion = str(version.version)
    champion_uri = champion and f"models:/{context.name}/{champion}"
    return Registration(f"models:/{context.name}/{version.version}", version.run_id or "", champion_uri)


def check(config: Record, root: Path) -> None:
    """Refuse an experiment that is deleted, where its server answers; one that does not answer costs a run nothing."""
    uri = tracking_uri(config.register, root)
    if not is_made(uri):
        return
    try:
        with service(uri):
            require_experiment(connect(uri).get_experiment_by_name(config.register.experiment))
    except ServiceError:
        return


def _facts(
    context: Context, dataset: Dataset, model: Model, samples: Samples, evaluation: Evaluation
) -> dict[str, str]:
    """What the version and its run carry as tags."""
    made = json.loads(_description(samples))
    facts = {
        KEY_TAG: context.key,
        "data_digest": dataset.digest,
        "model_digest": model.digest,
        "samples_digest": samples.digest,
        "data_uri": dataset.uri,
        "samples_uri": samples.uri,
        "verdict": "converged" if evaluation.is_converged else "not converged",
        "verdict_reasons": " ".join(evaluation.reasons),
        "is_exact": str(made["is_exact"]).lower(),
        "git_commit": git_commit() or "none",
    }
    return facts | {f"version.{name}": number for name, number in versions().items()}


def _description(samples: Samples) -> bytes:
    """What the draws say of themselves."""
    return objects.read(objects.open_store(samples.uri, writable=False), DATASET)


def _find_version(client: "MlflowClient", context: Context) -> "ModelVersion | None":
    """The version of this step's key."""
    filter_string = f"name = '{context.name}' and tags.`{KEY_TAG}` = '{context.key}'"
    found = client.search_model_versions(filter_string)
    return min(found, key=lambda version: int(version.version), default=None)


def _log_model(
    client: "MlflowClient", context: Context, run_id: str, dataset: Dataset, model: Model, normaliser: Normaliser | None
) -> str:
    """Find or make the logged model of this step's key, and upload its files."""
    experiment_id = client.get_run(run_id).info.experiment_id

    def find() -> str | None:
        found = client.search_logged_models([experiment_id], f"tags.`{KEY_TAG}` = '{context.key}'")
        return found[0].model_id if found else None

    def make() -> str:
        name = context.name.replace(".", "-")  # which MLflow takes in the name of a registered model alone
        return client.create_logged_model(experiment_id, name, run_id, {KEY_TAG: context.key}).model_id

    model_id = found_or_made(find, make)
    with tempfile.TemporaryDirectory() as folder:
        mlflow_model.write(Path(folder), dataset, model, normaliser, model_id, run_id)
        client.log_model_artifacts(model_id, folder)
    client.finalize_logged_model(model_id, "READY")
    return model_id


def _create_version(
    client: "MlflowClient", context: Context, run_id: str, model_id: str, facts: dict[str, str]
) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(context.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = client.get_logged_model(model_id).artifact_location
    return found_or_made(
        lambda: _find_version(client, context),
        lambda: client.create_model_version(context.name, source, run_id, facts, model_id=model_id),
    )
