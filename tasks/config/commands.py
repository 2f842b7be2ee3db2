"""What a command takes, checked when it is made: the configuration of its steps, and where and how they run.

A key is set in YAML, by its dotted name on the command line (`--train.learning_rate 3e-4`) or by an environment
variable (`SCOREFLEET_TRAIN__LEARNING_RATE`).
"""

import math
from dataclasses import dataclass, field, fields

from scorefleet.tasks.config import (
    Chains,
    Cluster,
    Evaluate,
    Normalise,
    Prepare,
    Register,
    Report,
    Retrain,
    Sample,
    Train,
)
from scorefleet.tasks.config.allowed import (
    LARGEST_COUNT,
    MODEL_NAME,
    MODEL_NAME_BYTES,
    MODEL_URI,
    require,
    require_function,
)

LONGEST_NAME = 50
"""Characters of the name that a run has in MLflow."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What every command takes: where it keeps and records what it makes, and where it runs."""

    root: str = "./runs"
    """Folder under which everything is kept."""
    store: str | None = None
    """Where the draws go: a folder or s3://BUCKET/PATH, the AWS_* environment variables saying how to get there; under
    root when not given."""
    seed: int = 0
    """Seed of every random stream of the run."""
    register: Register = field(default_factory=Register)
    cluster: Cluster = field(default_factory=Cluster)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, "seed", self.seed, "from 0 to 2^63 - 1")

    def as_run(self, name: str) -> "Run":
        """Return where the steps run, under a name that is cut to what MLflow shows of it."""
        placed = {key.name: getattr(self, key.name) for key in fields(Placed)}
        return Run(**placed, name=name[:LONGEST_NAME])


@dataclass(frozen=True)
class Run(Placed):
    """A whole run."""

    name: str = "model"
    """Name of the model in the registry."""
    prepare: Prepare = field(default_factory=Prepare)
    train: Train = field(default_factory=Train)
    sample: Sample = field(default_factory=Sample)
    normalise: Normalise = field(default_factory=Normalise)
    evaluate: Evaluate = field(default_factory=Evaluate)
    report: Report = field(default_factory=Report)
    retrain: Retrain = field(default_factory=Retrain)

    def __post_init__(self) -> None:
        super().__post_init__()
        is_name = MODEL_NAME.fullmatch(self.name) is not None
        require(is_name, "name", self.name, "letters, digits, -, _, . and spaces, the first a letter, digit or _")
        require(len(self.name.encode()) <= MODEL_NAME_BYTES, "name", self.name, f"of {MODEL_NAME_BYTES} bytes at most")


@dataclass(frozen=True)
class SampleTarget(Chains, Placed):
    """Draws from a user's own density."""

    def __post_init__(self) -> None:
        Chains.__post_init__(self)
        Placed.__post_init__(self)


@dataclass(frozen=True)
class Generate(Placed):
    """Samples from a registered model, or from a composition of models, a classifier and fixed coordinates."""

    model: str = ""
    """Registered model: models:/NAME@ALIAS or models:/NAME/VERSION."""
    times: tuple[str, ...] = ()
    """Registered models whose densities multiply that of `model`: [models:/NAME@ALIAS, ...], with the same columns."""
    weights: tuple[float, ...] = ()
    """Exponents of the densities of `model` and of each of `times`, in that order; all 1 when not given."""
    classifier: str | None = None
    """MODULE:FUNCTION of log probabilities: points [row, dim] in the data's units and float64 -> [row, class],
    differentiable; draws are then of the class `label`."""
    label: int | None = None
    """The class that the draws are of, a column of what `classifier` returns, from 0."""
    fixed: dict[str, float | str] = field(default_factory=dict)
    """Column: number, as in --fixed.mass 3.2, holds a column there in all draws; of an array column the path of a .npy
    file of its shape, in which NaN is free."""
    num_samples: int = 1024
    """Rows to draw."""
    sample: Sample = field(default_factory=Sample)
    evaluate: Evaluate = field(default_factory=Evaluate)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, model in (("model", self.model), *(("times", one) for one in self.times)):
            is_model = MODEL_URI.fullmatch(model) is not None
            require(is_model, key, model, "models:/NAME@ALIAS or models:/NAME/VERSION")
        is_count = len(self.weights) in (0, 1 + len(self.times)) and (bool(self.times) or not self.weights)
        require(is_count, "weights", list(self.weights), f"{1 + len(self.times)} numbers for a product of models")
        is_weight = all(0 < weight < math.inf for weight in self.weights)
        require(is_weight, "weights", list(self.weights), "positive")
        require((self.classifier is None) == (self.label is None), "label", self.label, "given with classifier, only")
        if self.classifier is not None:
            require_function(self.classifier, "classifier", "digits_classifier:log_probabilities")
        require(self.label is None or self.label >= 0, "label", self.label, "0 or more")
        is_count = 1 <= self.num_samples < LARGEST_COUNT
        require(is_count, "num_samples", self.num_samples, "at least 1 and below 2^48")
