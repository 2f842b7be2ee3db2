"""A trained energy, or score, as files: `model.json` says what to build, `weights.safetensors` fills it.

Nothing is unpickled.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn

from scorefleet.tasks.ebm import energies, fused, noise
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.mcmc.kernels.metropolis import Target

ValueAndScore = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Points [row, dim] and levels [row] -> (f [row], grad f [row, dim])."""


def at_level(value_and_score: ValueAndScore, logit_beta: float) -> Target:
    """The target that all chains sample at one level."""

    def target(x: Float[Tensor, "row dim"]) -> tuple[Float[Tensor, " row"], Float[Tensor, "row dim"]]:
        return value_and_score(x, torch.full((len(x),), logit_beta).to(x))

    return target


@dataclass(frozen=True)
class Model:
    """A noise-conditioned density `p(x', t) = exp f(x', t) / Z`, `t = logit beta`, over standardised data."""

    network: nn.Module
    description: dict[str, Any]

    @property
    def dim(self) -> int:
        return self.description["dim"]

    def log_density(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, " row"]:
        """`f(x', t)` in nats."""
        return self.network(x, logit_beta)

    def energy(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, " row"]:
        """`-f(x', t)` in nats."""
        return -self.network(x, logit_beta)

    def value_and_score(
        self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, "row dim"]]:
        """`(f, grad_x' f)` of each row."""
        return energies.value_and_score(self.network, x, logit_beta)

    def target(self, logit_beta: float) -> Target:
        """The density at one level, to walk on: `value_and_score` there, in one call where the processor allows."""
        return fused.target(self.network, logit_beta) or at_level(self.value_and_score, logit_beta)

    def denoise(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row dim"]:
        """Tweedie's `E[x|x']` (11.13)."""
        return noise.denoise(x, self.value_and_score(x, logit_beta)[1], logit_beta)

    def whole(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row dim"]:
        """`x`: chains move in all coordinates."""
        return x


@dataclass(frozen=True)
class ScoreModel:
    """A noise-conditioned score `S(x', t)` that has no density: its chains need `mcmc.line_integral`."""

    network: nn.Module
    description: dict[str, Any]

    @property
    def dim(self) -> int:
        return self.description["dim"]

    def score(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row dim"]:
        """`S(x', t)`."""
        return self.network(x, logit_beta)

    def value_and_score(
        self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, "row dim"]]:
        """`(NaN, S)` of each row: there is no value, and a kernel that reads one refuses every step."""
        score = self.score(x, logit_beta)
        return torch.full_like(score[:, 0], torch.nan), score

    def target(self, logit_beta: float) -> Target:
        """The score at one level, to walk on."""
        return at_level(self.value_and_score, logit_beta)

    def denoise(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row dim"]:
        """Tweedie's `E[x|x']` (11.13)."""
        return noise.denoise(x, self.score(x, logit_beta), logit_beta)

    def whole(self, x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row dim"]:
        """`x`: chains move in all coordinates."""
        return x


Trained = Model | ScoreModel
FILES = ("model.json", "weights.safetensors")
ARCHITECTURE = ("dim", "energy", "width", "num_blocks", "num_conditions")


def build(
    dim: int,
    energy: energies.NetworkName,
    width: int,
    num_blocks: int,
    num_conditions: int = 0,
    dropout: float = 0.0,
) -> energies.Energy | energies.ScoreOnly:
    """An untrained energy, or score where `energy` names one: that of the anchor until it is trained."""
    return energies.NETWORKS[energy](dim, width, num_blocks, dropout, num_conditions)


def to_files(network: nn.Module, description: dict[str, Any]) -> dict[str, bytes]:
    """The files of a model: name -> bytes, the same bytes for the same weights."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return {
        "weights.safetensors": safetensors.torch.save(weights),
        "model.json": json.dumps(description, indent=2, sort_keys=True).encode(),
    }


def digest(folder: Path) -> str:
    """The sha256 that names the model in a folder: of the digests of its files."""
    listing = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    return hashlib.sha256(json.dumps(listing, sort_keys=True).encode()).hexdigest()


def load(folder: Path, device: torch.device | str = "cpu") -> Trained:
    """The model whose files `to_files` made, of the type that they say, without gradients for its weights."""
    description = json.loads((folder / "model.json").read_bytes())
    network = build(**{key: description[key] for key in ARCHITECTURE})
    network.load_state_dict(safetensors.torch.load((folder / "weights.safetensors").read_bytes()))
    kind = ScoreModel if is_score_only(description) else Model
    return kind(network.to(device).requires_grad_(False).eval(), description)


def is_score_only(description: dict[str, Any]) -> bool:
    """Whether `model.json` describes a score that has no density; a composition is no network of its own."""
    return "energy" in description and description["energy"] not in energies.ENERGIES


def require_density(trained: Trained, purpose: str) -> Model:
    """The model, which must have a density; UsageError names the `purpose` that needs it."""
    if isinstance(trained, ScoreModel):
        raise UsageError(
            f"{purpose} needs a density, which a score-only model has not: train one with train.energy scalar_head "
            "or inner_product"
        )
    return trained
