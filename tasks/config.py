"""The configuration of a run: one frozen class a step, every key typed, documented and checked when it is made.

A key is set in YAML, by its dotted name on the command line (`--train.learning_rate 3e-4`) or by an environment
variable (`SCOREFLEET_TRAIN__LEARNING_RATE`). `None` means: chosen from the number of rows and columns of the data.
"""

from dataclasses import dataclass, field
from typing import Any, Literal


def require(is_allowed: bool, key: str, value: Any, allowed: str) -> None:
    """Refuse `value` of `key` in one line that says what was given and what is allowed."""
    if not is_allowed:
        raise ValueError(f"{key} must be {allowed}, but got {value!r}")


@dataclass(frozen=True)
class Prepare:
    """Read the data, check it, split it, keep it as Arrow."""

    data: str = ""
    """A file or folder (Parquet, Arrow, CSV, .npy, .npz), or sklearn:digits, sklearn:breast_cancer, sklearn:wine."""
    label: str | None = None
    """A column that is kept beside the data but not modelled; the report judges the balance of its classes."""
    validation_fraction: float = 0.08
    """Share of the rows that training watches but does not learn from."""
    test_fraction: float = 0.2
    """Share of the rows that nothing sees before the draws are judged."""

    def __post_init__(self) -> None:
        for key in ("validation_fraction", "test_fraction"):
            require(0 < getattr(self, key) < 0.5, f"prepare.{key}", getattr(self, key), "between 0 and 0.5")


@dataclass(frozen=True)
class Train:
    """Fit the energy, data-parallel."""

    num_workers: int = 2
    """Data-parallel training processes."""
    num_steps: int | None = None
    """Optimiser steps."""
    batch_size: int = 256
    """Rows a step, over all workers together."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW; it warms up linearly and decays along a cosine."""
    weight_decay: float = 0.0
    """Decoupled weight decay of AdamW."""
    ema_decay: float = 0.999
    """Decay a step of the exponential moving average of the weights, which is the model that is kept."""
    time_score_weight: float | None = None
    """Weight lambda_t of the time-score term, which makes energies comparable across noise levels."""
    objective: Literal["denoising", "implicit", "sliced", "contrastive", "persistent"] = "denoising"
    """What is minimised: denoising score matching; implicit score matching, exact or sliced; contrastive
    divergence with chains that start at the data or persist."""
    energy: Literal["scalar_head", "inner_product"] | None = None
    """Form of the log density on top of the network."""
    width: int | None = None
    """Units of a hidden layer."""
    num_blocks: int = 2
    """Residual blocks of the network."""
    dropout: float | None = None
    """Share of hidden units that a training step leaves out, against learning the rows by heart."""
    augmentation: float | None = None
    """Share of the images in a batch that are warped a little, which the network is told, against learning the rows by
    heart; 0 for what is not an image."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; a killed run goes on from the last one."""

    def __post_init__(self) -> None:
        for key in ("num_workers", "batch_size", "num_blocks", "checkpoint_every"):
            require(getattr(self, key) >= 1, f"train.{key}", getattr(self, key), "at least 1")
        require(self.num_steps is None or self.num_steps >= 1, "train.num_steps", self.num_steps, "at least 1")
        require(self.dropout is None or 0 <= self.dropout < 1, "train.dropout", self.dropout, "in [0, 1)")
        is_share = self.augmentation is None or 0 <= self.augmentation < 1
        require(is_share, "train.augmentation", self.augmentation, "in [0, 1)")
        require(self.width is None or self.width >= 1, "train.width", self.width, "at least 1")
        require(self.learning_rate > 0, "train.learning_rate", self.learning_rate, "positive")
        require(self.weight_decay >= 0, "train.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.ema_decay < 1, "train.ema_decay", self.ema_decay, "in [0, 1)")
        is_weight = self.time_score_weight is None or self.time_score_weight >= 0
        require(is_weight, "train.time_score_weight", self.time_score_weight, "0 or more")
        require(
            self.batch_size % self.num_workers == 0,
            "train.batch_size",
            self.batch_size,
            f"a multiple of train.num_workers ({self.num_workers})",
        )


@dataclass(frozen=True)
class Sample:
    """Run a fleet of Langevin and Metropolis-Hastings chains against the energy."""

    num_chains: int = 1024
    """Independent chains."""
    num_draws: int = 1
    """Draws that each chain keeps at the lowest noise level."""
    thinning: int = 10
    """Steps between two kept draws of a chain."""
    block_size: int = 256
    """Chains that advance together; part of the run's identity, since it fixes the random streams."""
    num_levels: int = 24
    """Noise levels of the ladder."""
    steps_per_level: int = 5
    """Metropolis-adjusted Langevin steps at each level."""
    target_acceptance: float = 0.574
    """Acceptance rate that the step size of each level is tuned to before the first kept draw."""
    temperature: float = 1.0
    """Chains sample the density to the power 1/temperature; above 1 they spread wider, which mends an energy that is
    surer of the rows it learned from than of others."""
    lowest_noise: float | None = None
    """Noise of the lowest level, where draws are kept, in standard deviations of the data; when not given 0.1 for
    whole numbers, which are spread wider than that, and 0.05 for real ones."""
    num_control_chains: int = 1024
    """Chains of the control ladder of twice the steps, against which the verdict tests the draws."""

    def __post_init__(self) -> None:
        for key in (
            "num_chains",
            "num_draws",
            "thinning",
            "block_size",
            "steps_per_level",
            "num_control_chains",
        ):
            require(getattr(self, key) >= 1, f"sample.{key}", getattr(self, key), "at least 1")
        require(self.num_levels >= 2, "sample.num_levels", self.num_levels, "at least 2")
        require(0 < self.target_acceptance < 1, "sample.target_acceptance", self.target_acceptance, "in (0, 1)")
        require(0.5 <= self.temperature <= 2, "sample.temperature", self.temperature, "from 0.5 to 2")
        is_noise = self.lowest_noise is None or 0.018 <= self.lowest_noise <= 1
        require(is_noise, "sample.lowest_noise", self.lowest_noise, "from 0.018 to 1")


@dataclass(frozen=True)
class Evaluate:
    """Judge the chains and the draws."""

    false_alarm_rate: float = 1e-3
    """Probability that a test of converged chains says they are not; shared by the tests of one verdict."""

    def __post_init__(self) -> None:
        require(0 < self.false_alarm_rate < 0.5, "evaluate.false_alarm_rate", self.false_alarm_rate, "in (0, 0.5)")


@dataclass(frozen=True)
class Register:
    """Record the model in MLflow."""

    tracking_uri: str | None = None
    """MLflow tracking server; a sqlite file under the root when not given."""
    experiment: str = "scorefleet"
    """MLflow experiment of the runs."""
    alias: str = "champion"
    """Alias that the new model version receives."""


@dataclass(frozen=True)
class Report:
    """Draw the page that shows the result."""

    num_images: int = 100
    """Rows of data and draws shown side by side."""

    def __post_init__(self) -> None:
        require(1 <= self.num_images <= 400, "report.num_images", self.num_images, "from 1 to 400")


@dataclass(frozen=True)
class Cluster:
    """Where the steps run."""

    address: str | None = None
    """Address of a running Ray cluster; a Ray of its own on this machine when not given."""
    num_cpus: int | None = None
    """CPUs that a Ray of its own offers; those of this machine when not given."""
    num_actors: int | None = None
    """Ray actors that advance blocks of chains; one a GPU, else one a CPU, when not given. Changes no draw."""

    def __post_init__(self) -> None:
        for key in ("num_cpus", "num_actors"):
            value = getattr(self, key)
            require(value is None or value >= 1, f"cluster.{key}", value, "at least 1")


@dataclass(frozen=True)
class Run:
    """A whole run."""

    name: str = "model"
    """Name of the model in the registry."""
    root: str = "./runs"
    """Folder or URI under which everything is kept."""
    seed: int = 0
    """Seed of every random stream of the run."""
    prepare: Prepare = field(default_factory=Prepare)
    train: Train = field(default_factory=Train)
    sample: Sample = field(default_factory=Sample)
    evaluate: Evaluate = field(default_factory=Evaluate)
    register: Register = field(default_factory=Register)
    report: Report = field(default_factory=Report)
    cluster: Cluster = field(default_factory=Cluster)

    def __post_init__(self) -> None:
        require(
            self.name.replace("-", "").replace("_", "").isalnum(),
            "name",
            self.name,
            "letters, digits, - and _",
        )
        require(0 <= self.seed < 2**63, "seed", self.seed, "from 0 to 2^63 - 1")


@dataclass(frozen=True)
class Chains:
    """Chains that travel over a user's own density."""

    target: str = ""
    """MODULE:FUNCTION of the log density: points [chain, dim] in float64 -> nats [chain], differentiable."""
    dim: int = 1
    """Coordinates of a point."""
    support: str = "real"
    """Where points live: real, positive, box(LOW, HIGH) or simplex, each with *COUNT, as in 'real*25, positive'."""
    kernel: Literal["hmc", "mala", "lecture_mala", "random_walk", "gibbs", "langevin"] = "hmc"
    """How chains move; langevin alone has no Metropolis test, and its draws are marked as not exact."""
    metric: Literal["auto", "dense", "diagonal"] = "auto"
    """The preconditioning that the warm-up learns; auto is dense up to 500 coordinates and diagonal beyond."""
    num_chains: int = 256
    """Independent chains."""
    num_draws: int = 1000
    """Draws that each chain keeps."""
    burn_in: int = 100
    """Steps of each chain after the warm-up and before the first kept draw."""
    thinning: int = 1
    """Steps between two kept draws of a chain."""
    block_size: int = 64
    """Chains that advance together; part of the run's identity, since it fixes the random streams."""

    def __post_init__(self) -> None:
        module, _, function = self.target.partition(":")
        is_name = all(part.isidentifier() for part in module.split(".")) and function.isidentifier()
        require(is_name, "target", self.target, "MODULE:FUNCTION, such as posterior:log_density")
        for key in ("dim", "num_chains", "num_draws", "thinning", "block_size"):
            require(getattr(self, key) >= 1, key, getattr(self, key), "at least 1")
        require(self.burn_in >= 0, "burn_in", self.burn_in, "0 or more")


@dataclass(frozen=True)
class SampleTarget(Chains):
    """Draws from a user's own density."""

    root: str = "./runs"
    """Folder or URI under which everything is kept."""
    seed: int = 0
    """Seed of every random stream of the run."""
    register: Register = field(default_factory=Register)
    cluster: Cluster = field(default_factory=Cluster)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.seed < 2**63, "seed", self.seed, "from 0 to 2^63 - 1")


@dataclass(frozen=True)
class Generate:
    """Samples from a registered model."""

    model: str = ""
    """Registered model: models:/NAME@ALIAS or models:/NAME/VERSION."""
    num_samples: int = 1024
    """Rows to draw."""
    root: str = "./runs"
    """Folder or URI under which everything is kept."""
    seed: int = 0
    """Seed of every random stream of the run."""
    sample: Sample = field(default_factory=Sample)
    evaluate: Evaluate = field(default_factory=Evaluate)
    register: Register = field(default_factory=Register)
    cluster: Cluster = field(default_factory=Cluster)

    def __post_init__(self) -> None:
        require(
            self.model.startswith("models:/"),
            "model",
            self.model,
            "models:/NAME@ALIAS or models:/NAME/VERSION",
        )
        require(self.num_samples >= 1, "num_samples", self.num_samples, "at least 1")
        require(0 <= self.seed < 2**63, "seed", self.seed, "from 0 to 2^63 - 1")
