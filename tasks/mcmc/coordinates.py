"""The coordinates that chains move in: a bend, if there is one, and an affine map on top of it."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.mcmc.bend import Bend
from tasks.mcmc.metropolis import State, Target
from tasks.mcmc.preconditioning import Whitening


class Coordinates(NamedTuple):
    """`x = bend(mean + factor w)`."""

    whitening: Whitening
    bend: Bend | None = None

    def pull(self, target: Target) -> Target:
        """The target as a density of w, up to the constant of the affine map."""
        return self.whitening.pull(self.bend.pull(target) if self.bend else target)

    def pull_state(self, state: State) -> State:
        """The same chains in w, without an evaluation of the target."""
        return self.whitening.pull_state(self.bend.pull_state(state) if self.bend else state)

    def push_state(self, state: State) -> State:
        """The same chains in x, without an evaluation of the target."""
        straight = self.whitening.push_state(state)
        return self.bend.push_state(straight) if self.bend else straight

    def from_white(self, w: Float[Tensor, "row dim"]) -> tuple[Float[Tensor, "row dim"], Float[Tensor, " row"]]:
        """`x(w)` and `ln |dx/dw|` without the constant of the affine map: what a pulled density has more than the
        target's own."""
        z = self.whitening.from_white(w)
        return self.bend.from_straight(z) if self.bend else (z, torch.zeros_like(z[:, 0]))
