"""The coordinates that chains move in: tails, a bend and a skew, if there are any, around an affine map, and a radial
tail inside it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening
from scorefleet.tasks.mcmc.coordinates.tails import RadialTail, TailsOfCoordinates
from scorefleet.tasks.mcmc.coordinates.triangular import Triangular
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target


class Coordinates(NamedTuple):
    """`x = tails(bend(skew(mean + factor radial(w))))`."""

    whitening: Whitening
    bend: Triangular | None = None
    skew: Triangular | None = None
    tails: TailsOfCoordinates | None = None
    radial: RadialTail | None = None

    @property
    def is_affine(self) -> bool:
        """Return whether the whitening is the only layer."""
        return len(self._layers()) == 1

    @property
    def log_volume(self) -> float:
        """What the log density of w lacks: the constants of the affine maps."""
        return sum(layer.log_volume for layer in self._layers())

    def pull(self, target: Target) -> Target:
        """The target as a density of w, up to the constant of the affine maps."""
        for layer in self._layers():
            target = layer.pull(target)
        return target

    def pull_state(self, state: State) -> State:
        """The same chains in w, without an evaluation of the target."""
        for layer in self._layers():
            state = layer.pull_state(state)
        return state

    def push_state(self, state: State) -> State:
        """The same chains in x, without an evaluation of the target."""
        for layer in reversed(self._layers()):
            state = layer.push_state(state)
        return state

    def to_white(self, x: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
        """`w(x)`."""
        return self.pull_state(State(x, torch.zeros_like(x[:, 0]), torch.zeros_like(x))).x

    def from_white(self, w: Float[Tensor, "row dim"]) -> tuple[Float[Tensor, "row dim"], Float[Tensor, " row"]]:
        """`x(w)` and `ln |dx/dw|` without the constant of the affine maps: what a pulled density has more than the
        target's own."""
        pushed = self.push_state(State(w, torch.zeros_like(w[:, 0]), torch.zeros_like(w)))
        return pushed.x, -pushed.value

    def _layers(self) -> list[TailsOfCoordinates | Triangular | Whitening | RadialTail]:
        """From the target's coordinates to white ones."""
        layers = self.tails, self.bend, self.skew, self.whitening, self.radial
        return [layer for layer in layers if layer is not None]
