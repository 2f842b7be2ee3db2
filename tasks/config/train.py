"""What energy is trained, and how."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from scorefleet.tasks.config.allowed import require, require_function

UNWARPED = ("persistent", "explicit")
"""Objectives without warped rows: particles have no conditions, and warped rows another distribution."""


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
