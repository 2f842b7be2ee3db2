"""What chains sample: a registered model, or a composition of models, a classifier and fixed coordinates.

Chains move in the standardised coordinates of the first model. With `m_k`, `s_k` the location and scale of the k-th
model's coordinates, the same point in its own is `z_k = r_k z + c_k`, `r_k = s_1/s_k`, `c_k = (m_1 - m_k)/s_k`; of a
noised point `x' = sqrt(1-beta) z + ...` it is `T_k x' = r_k x' + sqrt(1-beta) c_k`. The target at level `t` is

    f(x', t) = sum_k w_k (f_k(T_k x', t) + sum ln r_k) + ln p(label | x' / sqrt(1-beta)),

with the fixed coordinates of x' held at `sqrt(1-beta)` times their standardised values; the chains' density is that of
the free ones given these. So the noise is beta in each model's own standard deviations, and what the lowest level
samples is this formula at the lowest beta.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.data.schema import DataSchema, read_schema
from scorefleet.tasks.ebm import compose, energies, noise
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.ebm.compose import LogClassifier
from scorefleet.tasks.ebm.model import Model, Trained, require_density
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.sampling.fixed import FilledSchema, standardised
from scorefleet.tasks.user_code import classifier, inputs


@dataclass(frozen=True)
class Part:
    """One factor of a product: a model, its exponent, and the way from the chains' coordinates to its own."""

    model: Model
    weight: float
    ratio: Float[Tensor, " dim"]
    shift: Float[Tensor, " dim"]

    def own(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row dim"]:
        """`T_k x'`."""
        return self.ratio * x + noise.signal_level(logit_beta)[:, None] * self.shift

    def log_density(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, " row"]:
        """`f_k(T_k x', t) + sum ln r_k`, in nats and in the chains' coordinates."""
        return self.model.log_density(self.own(x, logit_beta), logit_beta) + self.ratio.log().sum()

    def denoise(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row dim"]:
        """`E_k[x | x']`, in the chains' coordinates."""
        return (self.model.denoise(self.own(x, logit_beta), logit_beta) - self.shift) / self.ratio


@dataclass(frozen=True)
class Composition:
    """Models whose densities are multiplied, the class that is wanted if any, and `fixed` values, NaN where free."""

    parts: tuple[Part, ...]
    fixed: Float[Tensor, " dim"]
    log_classifier: LogClassifier | None = None
    label: int | None = None

    @property
    def is_fixed(self) -> Tensor:
        """Which coordinates do not move, [dim]."""
        return ~self.fixed.isnan()

    @property
    def dim(self) -> int:
        """Coordinates in which the chains move."""
        return int(self.fixed.isnan().sum())

    def log_density(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, " row"]:
        """`f(x', t)` of whole rows, in nats."""
        f = compose.product([part.log_density for part in self.parts], [part.weight for part in self.parts])
        if self.log_classifier is not None and self.label is not None:
            f = compose.conditional(f, self.log_classifier, self.label)
        return f(x, logit_beta)

    def value_and_score(
        self, x: Float[Tensor, "row free"], logit_beta: Float[Tensor, " row"]
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, "row free"]]:
        """`(f, grad f)` of the free coordinates."""

        def target(rows: Tensor) -> tuple[Tensor, Tensor]:
            return energies.value_and_score(self.log_density, rows, logit_beta)

        return compose.masked(target, self.is_fixed, self._held(logit_beta))(x)

    def target(self, logit_beta: float) -> Target:
        """`value_and_score` at one level, to walk on."""
        return models.at_level(self.value_and_score, logit_beta)

    def whole(self, x: Float[Tensor, "row free"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row dim"]:
        """Whole noised rows: the free coordinates and the fixed ones."""
        return compose.filled(x, self.is_fixed, self._held(logit_beta))

    def denoise(self, x: Float[Tensor, "row free"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row dim"]:
        """Whole denoised rows: the mean of the models' `E_k[x | x']`, weighted by their exponents.

        A classifier has no say: it looks at x', so given x' the class tells nothing more about x. Nor does Tweedie's
        formula hold of a product of noised densities, which is not the noised product: it would overshoot.
        """
        rows, total = self.whole(x, logit_beta), sum(part.weight for part in self.parts)
        means = torch.stack([part.weight / total * part.denoise(rows, logit_beta) for part in self.parts]).sum(0)
        return torch.where(self.is_fixed, self.fixed, means)

    def _held(self, logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row dim"]:
        return noise.signal_level(logit_beta)[:, None] * self.fixed


def load(folder: Path, device: torch.device | str = "cpu") -> Trained | Composition:
    """The model in a folder, or the composition whose description stands there in a model's place."""
    description = read_description(folder)
    if "parts" not in description:
        return models.load(folder, device)
    schema = read_schema(folder)
    parts = [_part(folder / part["folder"], part["weight"], schema, device) for part in description["parts"]]
    fixed = standardised(_given(description), schema).to(device)
    if description["classifier"] is None:
        return Composition(tuple(parts), fixed)
    described = description["classifier"]
    seen = classifier.observed(described["function"])
    inputs.require_same(seen, described["reads"])
    return Composition(tuple(parts), fixed, classifier.on_noised(seen.function, schema), described["label"])


def schema_of(folder: Path) -> DataSchema:
    """What turns the rows of what `load` gives into the user's columns."""
    schema, description = read_schema(folder), read_description(folder)
    if "parts" not in description:
        return schema
    return FilledSchema(schema.columns, schema.label, tuple(_given(description).tolist()))


def read_description(folder: Path) -> dict[str, Any]:
    """`model.json`."""
    return json.loads((folder / "model.json").read_bytes())


def digest(folder: Path) -> str:
    """What names the model in a folder, or the composition, whose description holds the digests of its parts."""
    if (folder / "weights.safetensors").is_file():
        return models.digest(folder)
    return hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()


def _given(description: dict[str, Any]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in description["fixed"]])


def _part(folder: Path, weight: float, first: DataSchema, device: torch.device | str) -> Part:
    own = read_schema(folder)
    ratio, shift = first.scale / own.scale, (first.location - own.location) / own.scale
    ratio, shift = (torch.from_numpy(value.astype(np.float32)).to(device) for value in (ratio, shift))
    return Part(require_density(models.load(folder, device), "a composition"), weight, ratio, shift)
