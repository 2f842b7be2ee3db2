"""Preconditioning is a change of coordinates: kernels stay isotropic, and run in coordinates in which the target is
nearly white.

With `x = mean + L z` a Langevin or Hamiltonian step in z is the step in x with mass matrix `(L L')^-1` (Girolami &
Calderhead, JRSS B 73, 2011, with a constant metric), and the Jacobian `|det L|` is a constant that every acceptance
ratio cancels.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import State, Target


class Whitening(NamedTuple):
    """The affine map `x = mean + factor z`; `factor` is invertible and need not be triangular, or it is the diagonal of
    a diagonal matrix.
    """

    mean: Float[Tensor, " dim"]
    factor: Float[Tensor, "dim dim"] | Float[Tensor, " dim"]

    @property
    def is_diagonal(self) -> bool:
        """Whether each coordinate is only moved and scaled."""
        return self.factor.ndim == 1

    @property
    def log_volume(self) -> float:
        """`ln |det factor|`: what the log density of z lacks."""
        return float(self.factor.abs().log().sum() if self.is_diagonal else torch.linalg.slogdet(self.factor)[1])

    @property
    def condition(self) -> float:
        """How many times as wide as its narrowest direction the widest is."""
        widths = self.factor.abs() if self.is_diagonal else torch.linalg.svdvals(self.factor)
        return float(widths.max() / widths.min())

    def to_white(self, x: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
        """`z = factor^-1 (x - mean)`."""
        away = x - self.mean
        return away / self.factor if self.is_diagonal else torch.linalg.solve(self.factor, away.T).T

    def from_white(self, z: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
        """`x = mean + factor z`."""
        return self.mean + (z * self.factor if self.is_diagonal else z @ self.factor.T)

    def pull(self, target: Target) -> Target:
        """The target as a density of z, up to the constant `ln |det factor|`: `grad_z f = factor' grad_x f`."""

        def pulled(z: Tensor) -> tuple[Tensor, Tensor]:
            value, score = target(self.from_white(z))
            return value, self.pull_score(score)

        return pulled

    def pull_score(self, score: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
        """`factor' grad_x f`."""
        return score * self.factor if self.is_diagonal else score @ self.factor

    def pull_state(self, state: State) -> State:
        """The same chains in z, without an evaluation of the target."""
        return State(self.to_white(state.x), state.value, self.pull_score(state.score))

    def push_state(self, state: State) -> State:
        """The same chains in x, without an evaluation of the target."""
        s = state.score
        score = s / self.factor if self.is_diagonal else torch.linalg.solve(self.factor.T, s.T).T
        return State(self.from_white(state.x), state.value, score)


def identity(dim: int, dtype: torch.dtype = torch.float64, is_diagonal: bool = False) -> Whitening:
    """No preconditioning."""
    return Whitening(torch.zeros(dim, dtype=dtype), (torch.ones if is_diagonal else torch.eye)(dim, dtype=dtype))
