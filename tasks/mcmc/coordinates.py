"""The coordinates that chains move in: a bend and a skew, if there are any, and an affine map on top."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.mcmc.metropolis import State, Target
from tasks.mcmc.preconditioning import Whitening
from tasks.mcmc.triangular import Triangular


class Coordinates(NamedTuple):
    """`x = bend(skew(mean + factor w))`."""

    whitening: Whitening
    bend: Triangular | None = None
    skew: Triangular | None = None

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

    def _layers(self) -> list[Triangular | Whitening]:
        """From the target's coordinates to white ones."""
        return [layer for layer in (self.bend, self.skew, self.whitening) if layer is not None]
