"""The configuration of steps: one frozen class each, every key typed, documented and checked when it is made.

`None` means: chosen from the number of rows and columns of the data.
"""

import codecs
import math
import re
from dataclasses import dataclass
from typing import Literal

from tasks.allowed import ALIAS, LARGEST_COUNT, LARGEST_DRAWS, LadderKernel, is_function, require, require_function

UNWARPED = ("persistent", "explicit")
"""Objectives without warped rows: particles have no conditions, and warped rows another distribution."""

LARGEST_BLOCK = 2**22
"""Chains of a block, each of which has a row in every shard of it."""


@dataclass(frozen=True)
class CSV:
    """How CSV files are written. What is not given is found in each file, and printed."""

    separator: str | None = None
    """Character between fields; tab for a tab."""
    decimal: Literal[".", ","] | None = None
    """Decimal mark of all numbers."""
    encoding: str | None = None
    """Encoding of the text, such as utf-8 or cp1252."""
    header: bool | None = None
    """Whether the first row names the columns; without names they are x0, x1, and so on."""
    quote: str | None = None
    """Character around fields that hold a separator; none for none."""

    def __post_init__(self) -> None:
        for key, word, character in (("separator", "tab", "\t"), ("quote", "none", "")):
            given: str | None = getattr(self, key)
            value = character if given is not None and given.lower() in (word, repr(character)[1:-1]) else given
            is_character = value is None or value == character or (len(value) == 1 and value not in "\r\n")
            require(is_character, f"prepare.csv.{key}", value, f"one character, or {word}")
            object.__setattr__(self, key, value)
        is_known = self.encoding is None or _is_encoding(self.encoding)
        require(is_known, "prepare.csv.encoding", self.encoding, "an encoding that Python knows, such as cp1252")


def _is_encoding(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding
    except LookupError:
        return False


@dataclass(frozen=True)
class Prepare:
    """Read the data, check it, split it, keep it as Arrow."""

    data: str = ""
    """A file or folder (Parquet, Arrow, CSV, .npy, .npz, a Delta table), or sklearn:digits, sklearn:breast_cancer,
    sklearn:wine."""
    label: str | None = None
    """A column that is kept beside the data but not modelled; the report judges the balance of its classes."""
    validation_fraction: float = 0.08
    """Share of the rows that training watches but does not learn from."""
    test_fraction: float = 0.2
    """Share of the rows that nothing sees before the draws are judged."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    keep: tuple[str, ...] = ()
    """Columns to model although they look like none of data: an index, row numbers, identifiers. Such columns are left
    out otherwise, and named."""
    csv: CSV = CSV()
    """How CSV files are written."""

    def __post_init__(self) -> None:
        for key in ("validation_fraction", "test_fraction"):
            require(0 < getattr(self, key) < 0.5, f"prepare.{key}", getattr(self, key), "between 0 and 0.5")
        both = sorted({*self.drop} & {*self.keep})
        require(not both, "prepare.keep", both, "columns that prepare.drop does not name")
        require(self.label not in self.drop, "prepare.drop", list(self.drop), "columns other than prepare.label")


@dataclass(frozen=True)
class Train:
    """Fit the energy, data-parallel."""

    num_workers: int | str = 2
    """Data-parallel training processes: a number, or FROM..TO, such as 1..4, for as many as there is room for while
    nodes come and go."""
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
    objective: Literal["denoising", "explicit", "implicit", "sliced", "contrastive", "persistent"] = "denoising"
    """What is minimised: denoising score matching; explicit, against a known score; implicit score matching, exact or
    sliced; contrastive divergence with chains that start at the data or persist."""
    known_score: str | None = None
    """MODULE:FUNCTION for train.objective explicit: points [row, dim] in the data's units -> their scores [row, dim],
    or log densities [row], of the density that the rows are drawn from."""
    energy: Literal["scalar_head", "inner_product", "score_only"] | None = None
    """Form of the log density on top of the network; score_only has none, and its samples are marked as not exact."""
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
        _, most = self.workers
        for key in ("batch_size", "num_blocks", "checkpoint_every"):
            require(getattr(self, key) >= 1, f"train.{key}", getattr(self, key), "at least 1")
        require(self.num_steps is None or self.num_steps >= 1, "train.num_steps", self.num_steps, "at least 1")
        require(self.dropout is None or 0 <= self.dropout < 1, "train.dropout", self.dropout, "in [0, 1)")
        is_share = self.augmentation is None or 0 <= self.augmentation < 1
        require(is_share, "train.augmentation", self.augmentation, "in [0, 1)")
        require(self.width is None or self.width >= 1, "train.width", self.width, "at least 1")
        is_fitting = (self.known_score is not None) == (self.objective == "explicit")
        fitting = "MODULE:FUNCTION for train.objective explicit, and null for others"
        require(is_fitting, "train.known_score", self.known_score, fitting)
        if self.known_score is not None:
            require_function(self.known_score, "train.known_score", "posterior:score")
        if self.augmentation and self.objective in UNWARPED:
            allowed = f"0 or null for train.objective {self.objective}"
            require(False, "train.augmentation", self.augmentation, allowed)
        if self.energy == "score_only":
            by_score, why = "denoising, explicit, implicit, sliced", "for train.energy score_only, which has no density"
            require(self.objective in by_score.split(", "), "train.objective", self.objective, f"{by_score} {why}")
            weight = self.time_score_weight
            require(not weight, "train.time_score_weight", weight, f"0 or null {why}")
        require(0 < self.learning_rate < math.inf, "train.learning_rate", self.learning_rate, "positive and finite")
        require(0 <= self.weight_decay < math.inf, "train.weight_decay", self.weight_decay, "finite, 0 or more")
        require(0 <= self.ema_decay < 1, "train.ema_decay", self.ema_decay, "in [0, 1)")
        is_weight = self.time_score_weight is None or 0 <= self.time_score_weight < math.inf
        require(is_weight, "train.time_score_weight", self.time_score_weight, "finite, 0 or more")
        fitting = f"at least {most}, a row for each of train.num_workers"
        require(self.batch_size >= most, "train.batch_size", self.batch_size, fitting)

    @property
    def workers(self) -> tuple[int, int]:
        """The least and the most data-parallel processes."""
        words = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", str(self.num_workers))
        least, most = (int(words[1]), int(words[2] or words[1])) if words else (0, 0)
        allowed = "a number, at least 1, or FROM..TO, such as 1..4"
        require(1 <= least <= most, "train.num_workers", self.num_workers, allowed)
        return least, most


@dataclass(frozen=True)
class Sample:
    """Run a fleet of Langevin and Metropolis-Hastings chains against the energy."""

    kernel: LadderKernel | None = None
    """How chains move at a noise level, mala when not given; langevin has no Metropolis test, and its draws are marked
    as not exact. Score-only models have the last three (line_integral_simpson when not given), none of them exact."""
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
    """Steps of the kernel at each level."""
    exchange_rounds: int = 0
    """Rounds of replica exchange after the way down: in each a chain takes one step at every one of a few levels, and
    replicas at neighbouring levels swap; 0 for none. They go on between the draws of a chain, `thinning` before each.
    """
    target_acceptance: float | None = None
    """Acceptance rate that the step size of each level is tuned to before the first kept draw; the kernel's own when
    not given: .574 for mala, .75 for hmc, .44 for gibbs, .234 for lecture_mala and random_walk, and .95 for langevin,
    of which it is the rate at which a Metropolis test would accept."""
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
            is_count = 1 <= getattr(self, key) < LARGEST_COUNT
            require(is_count, f"sample.{key}", getattr(self, key), "at least 1 and below 2^48")
        require(self.num_draws < LARGEST_DRAWS, "sample.num_draws", self.num_draws, "below 2^31")
        require(self.block_size <= LARGEST_BLOCK, "sample.block_size", self.block_size, f"at most {LARGEST_BLOCK:,}")
        require(self.num_levels >= 2, "sample.num_levels", self.num_levels, "at least 2")
        is_tried = self.exchange_rounds == 0 or self.exchange_rounds >= 2  # fewer do not try every pair
        require(is_tried, "sample.exchange_rounds", self.exchange_rounds, "0, or at least 2")
        is_rate = self.target_acceptance is None or 0 < self.target_acceptance < 1
        require(is_rate, "sample.target_acceptance", self.target_acceptance, "in (0, 1)")
        require(0.5 <= self.temperature <= 2, "sample.temperature", self.temperature, "from 0.5 to 2")
        is_noise = self.lowest_noise is None or 0.018 <= self.lowest_noise <= 1
        require(is_noise, "sample.lowest_noise", self.lowest_noise, "from 0.018 to 1")


@dataclass(frozen=True)
class Normalise:
    """Find log Z of the learned density, which makes likelihoods of its energies."""

    num_populations: int = 16
    """Populations of particles that walk down the noise levels, each with its own estimate of log Z; their spread is
    its error."""
    num_particles: int = 512
    """Particles of a population; four times as many halve the spread."""

    def __post_init__(self) -> None:
        for key, least in (("num_populations", 4), ("num_particles", 2)):
            require(getattr(self, key) >= least, f"normalise.{key}", getattr(self, key), f"at least {least}")


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
    """Alias of the version in use: the first whose chains converged has it until `retrain` finds a better one."""

    def __post_init__(self) -> None:
        is_alias = ALIAS.fullmatch(self.alias) is not None
        allowed = "up to 255 letters, digits, - and _, and neither latest nor v and a number, which MLflow keeps"
        require(is_alias, "register.alias", self.alias, allowed)
        is_name = bool(self.experiment.strip()) and len(self.experiment) <= 256 and self.experiment.isprintable()
        require(is_name, "register.experiment", self.experiment, "a name of 1 to 256 characters")


@dataclass(frozen=True)
class Report:
    """Draw the page that shows the result."""

    num_images: int = 100
    """Rows of data and draws shown side by side."""

    def __post_init__(self) -> None:
        require(1 <= self.num_images <= 400, "report.num_images", self.num_images, "from 1 to 400")


@dataclass(frozen=True)
class Retrain:
    """Train a challenger of the champion (`scorefleet retrain`)."""

    warm_steps: int | None = None
    """Optimiser steps of a challenger that starts from the champion's weights; when not given it starts afresh, with
    train.num_steps."""

    def __post_init__(self) -> None:
        require(self.warm_steps is None or self.warm_steps >= 1, "retrain.warm_steps", self.warm_steps, "at least 1")


AUTO = "auto"
ADDRESS = re.compile(rf"{AUTO}|([\w.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{{1,5}})")


@dataclass(frozen=True)
class Cluster:
    """Where the steps run."""

    address: str | None = None
    """HOST:PORT of the head of a running Ray cluster, or auto for that of this machine; a Ray of its own when not
    given."""
    num_cpus: int | None = None
    """CPUs that a Ray of its own offers; those of this machine when not given."""
    num_actors: int | None = None
    """Ray actors that advance blocks of chains; one a GPU, else one a CPU, when not given. Changes no draw."""

    def __post_init__(self) -> None:
        match = ADDRESS.fullmatch(AUTO if self.address is None else self.address)
        is_place = match is not None and int(match["port"] or 0) < 2**16
        require(is_place, "cluster.address", self.address, "HOST:PORT, such as 10.0.0.10:6379, or auto")
        for key in ("num_cpus", "num_actors"):
            value = getattr(self, key)
            require(value is None or value >= 1, f"cluster.{key}", value, "at least 1")


POINTS_FILES = (".npy", ".csv", ".parquet")


def is_points_file(init: str) -> bool:
    """Whether `--init` names a file, by its ending."""
    return init.endswith(POINTS_FILES)


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
    num_levels: int = 1
    """Levels of a tempering ladder from a wide Gaussian to the density, whose replicas change places, so that chains
    cross between separate modes; 1 is no ladder, and each level costs as much as the chains without one."""
    log_z: bool = False
    """Estimate log Z, the log of the integral of exp(log density) over the support, with a confidence interval."""
    init: str | None = None
    """Points [n, dim] where chains start: FILE.npy, FILE.csv, FILE.parquet, or MODULE:FUNCTION that returns them; when
    not given, points with a finite density are looked for."""

    def __post_init__(self) -> None:
        is_init = self.init is None or is_points_file(self.init) or is_function(self.init)
        require(is_init, "init", self.init, f"a file ({', '.join(POINTS_FILES)}) or MODULE:FUNCTION")
        require_function(self.target, "target", "posterior:log_density")
        for key in ("dim", "num_chains", "num_draws", "thinning", "block_size"):
            require(1 <= getattr(self, key) < LARGEST_COUNT, key, getattr(self, key), "at least 1 and below 2^48")
        require(self.num_draws < LARGEST_DRAWS, "num_draws", self.num_draws, "below 2^31")
        require(self.block_size <= LARGEST_BLOCK, "block_size", self.block_size, f"at most {LARGEST_BLOCK:,}")
        require(self.burn_in >= 0, "burn_in", self.burn_in, "0 or more")
        is_ladder = self.num_levels == 1 or self.num_levels >= 3
        require(is_ladder, "num_levels", self.num_levels, "1, which is no ladder, or at least 3")
