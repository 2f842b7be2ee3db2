"""Makes a composition of fetched models: checks that its parts fit, and describes it in the place of a model.

The folder holds the parts, each in a folder of its own, the first one's `schema.json`, and a `model.json` that names
the parts with their digests and weights, the classifier with the digest of its source, and the fixed values.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scorefleet.tasks.config import commands
from scorefleet.tasks.dag.artifacts import Model
from scorefleet.tasks.data.schema import DataSchema, read_schema
from scorefleet.tasks.ebm import energies
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.sampling import composition, fixed
from scorefleet.tasks.store import objects
from scorefleet.tasks.user_code import classifier, inputs


def is_composed(config: commands.Generate) -> bool:
    """Whether more is asked for than a model as it is."""
    return bool(config.times or config.classifier or config.fixed)


def parts_of(config: commands.Generate, folder: Path) -> dict[Path, str]:
    """The folder of each model -> the name that it is registered under, the first of `config.model`."""
    return {folder / f"part-{k}": uri for k, uri in enumerate((config.model, *config.times))}


def digest_of(config: commands.Generate) -> str:
    """The sha256 of what a composition reads beside models: the classifier's source, and files of fixed values."""
    listing = {name: _file_digest(name, path) for name, path in config.fixed.items() if isinstance(path, str)}
    if config.classifier:
        listing["classifier"] = inputs.for_key(classifier.observe(config.classifier))
    return hashlib.sha256(json.dumps(listing, sort_keys=True).encode()).hexdigest()


def publish(config: commands.Generate, folder: Path) -> Model:
    """Check the parts that were fetched into `folder` against each other and the rest, and write the description."""
    parts = parts_of(config, folder)
    schemas = [read_schema(part) for part in parts]
    descriptions = [_described(part, uri) for part, uri in parts.items()]
    for uri, schema in zip(config.times, schemas[1:], strict=True):
        _require_same_columns(schemas[0], schema, config.model, uri)
    given = [None if math.isnan(value) else value for value in fixed.read(config.fixed, schemas[0])]
    description = {
        "dim": given.count(None),
        "data_digest": ",".join(part["data_digest"] for part in descriptions),
        "parts": _listed(parts, config.weights or (1.0,) * len(parts)),
        "classifier": _classifier(config, schemas[0]),
        "fixed": given,
    }
    data = json.dumps(description, indent=2, sort_keys=True, allow_nan=False).encode()
    objects.replace(folder, "schema.json", schemas[0].to_json().encode())
    objects.replace(folder, "model.json", data)
    return Model(str(folder), composition.digest(folder))


def _described(part: Path, uri: str) -> dict[str, Any]:
    description = composition.read_description(part)
    if description["energy"] not in energies.ENERGIES:
        raise UsageError(
            f"{uri} is of train.energy {description['energy']}, which has no density: a composition needs models with "
            f"one, {' or '.join(energies.ENERGIES)}"
        )
    return description


def _require_same_columns(first: DataSchema, other: DataSchema, first_uri: str, uri: str) -> None:
    """Densities multiply over the same coordinates: names, shapes, types and whole numbers, in the same order."""
    mine, theirs = (
        [f"{c.name} ({'whole ' if c.is_whole else ''}{c.dtype}{list(c.shape) or ''})" for c in schema.columns]
        for schema in (first, other)
    )
    if mine != theirs:
        pairs = [*zip(mine, theirs, strict=False), (f"{len(mine)} columns", f"{len(theirs)} columns")]
        here, there = next(pair for pair in pairs if pair[0] != pair[1])
        raise UsageError(
            f"models of a product must have the same columns in the same order, but {first_uri} has {here} where {uri} "
            f"has {there}"
        )


def _listed(parts: dict[Path, str], weights: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {
            "folder": part.name,
            "model": uri,
            "weight": weight,
            "digest": models.digest(part),
            "schema_digest": hashlib.sha256((part / "schema.json").read_bytes()).hexdigest(),
        }
        for (part, uri), weight in zip(parts.items(), weights, strict=True)
    ]


def _classifier(config: commands.Generate, schema: DataSchema) -> dict[str, Any] | None:
    if config.classifier is None or config.label is None:
        return None
    seen = classifier.observe(config.classifier)
    with inputs.complete(seen):
        classifier.check(config.classifier, seen.function, config.label, schema)
    return {"function": config.classifier, "label": config.label, "digest": seen.digest, "reads": seen.reads}


def _file_digest(name: str, path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            f"fixed.{name}: {path!r} is neither a number nor a file that can be read ({error.strerror})"
        ) from error
