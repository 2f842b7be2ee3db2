"""What the steps of a pipeline hand to each other: small frozen references, never tensors.

Each is written into its step's manifest as JSON and read back from there when the step is already done.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

CHECKPOINTS = "ray"
"""Where Ray Train keeps checkpoints, which nothing reads once the step is done."""


@dataclass(frozen=True)
class Dataset:
    """Arrow files `train.arrow`, `validation.arrow`, `test.arrow` under `uri`, and `schema.json` beside them."""

    uri: str
    digest: str
    num_rows: dict[str, int]
    dim: int


@dataclass(frozen=True)
class Model:
    """A trained energy: `model.json` and `weights.safetensors` under `uri`."""

    uri: str
    digest: str


@dataclass(frozen=True)
class Samples:
    """A sample store under `uri`; `control_uri` holds the draws of a ladder of twice the steps, if there was one, and
    `beside` is the folder of what else the step left.
    """

    uri: str
    digest: str
    num_rows: int
    control_uri: str | None
    beside: str


@dataclass(frozen=True)
class Normaliser:
    """The logs of independent unbiased estimates of Z, `p = exp f / Z` at noise level `logit_beta`, in nats; the
    `sampled` ones are of the normaliser of `exp(f / temperature)`, which the chains sample.
    """

    uri: str
    logit_beta: float
    temperature: float
    by_population: tuple[float, ...]
    by_population_sampled: tuple[float, ...]

    def to_json(self) -> bytes:
        """All but the folder that it was found in, which holds wherever a model goes."""
        kept = {key: value for key, value in dataclasses.asdict(self).items() if key != "uri"}
        return json.dumps(kept, indent=2).encode()

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return what `dataclasses.asdict` and JSON made into `fields`, whose lists were tuples."""
        made: dict[str, Any] = {key: tuple(value) if type(value) is list else value for key, value in fields.items()}
        return cls(**made)


@dataclass(frozen=True)
class Evaluation:
    """`evaluation.json` under `uri`: every number of the verdict; `not_finite` names the metrics that are NaN or
    infinite, which `metrics` leaves out, and `not_tested` what the verdict leaves open.
    """

    uri: str
    is_converged: bool
    reasons: tuple[str, ...]
    metrics: dict[str, float]
    not_finite: tuple[str, ...] = ()
    not_tested: tuple[str, ...] = ()


@dataclass(frozen=True)
class Registration:
    """A version of a registered model, `models:/name/version`, the MLflow run that it came from, and the version that
    had the alias then.
    """

    model_uri: str
    run_id: str
    champion_uri: str | None = None


@dataclass(frozen=True)
class Champion:
    """The version that had the alias when a challenger came, its files under `uri`, and where it came from: its data,
    its samples, and its normaliser where it has a density.
    """

    uri: str
    model_uri: str
    is_exact: bool
    data_uri: str
    samples_uri: str
    normaliser_uri: str


@dataclass(frozen=True)
class News:
    """`news.json` under `uri`: how the data differ from the champion's, and what of it is not chance."""

    uri: str
    num_arrived: int
    num_departed: int
    drift: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """`decision.json` under `uri`: whether the challenger is to replace the champion, and why."""

    uri: str
    is_promoted: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """One self-contained HTML page."""

    uri: str
