"""A change of coordinates with a triangular Jacobian, which straightens what no metric can.

Up to an affine map on its outer side, coordinate `i` is the i-th in an order, and depends on those before it:

    x = mean + factor y,    y_i = sum_j,k<i B_ijk z_j z_k + exp(c_i + sum_j<i C_ij z_j) m_i(z_i),
    m_i(z) = z cosh e_i + (sqrt(w^2 + z^2) - w) sinh e_i,

so that means follow squares and products, scales follow other coordinates, and `m` is a skew of each coordinate by
itself: `w sinh(asinh(z/w) + e)` up to a constant (Jones & Pewsey, Biometrika 96, 2009), whose slope stays between
`exp -|e|` and `exp |e|`. It is onto and invertible whatever B, C, c and e are, with
`ln |dy/dz| = sum_i (c_i + (C z)_i + ln m_i'(z_i))`. Transport maps that precondition chains: Parno & Marzouk, SIAM/ASA
J. Uncertainty Quantification 6, 2018.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import State, Target

WIDTH = 2.0
"""The w of the skew: within some 2 deviations it is nearly a parabola, and straight beyond."""


class Triangular(NamedTuple):
    """The map from z to x. `slope` (C) is strictly lower triangular; `square[i]` (B_i) is symmetric and 0 from row and
    column i on; `skew` is e.
    """

    mean: Float[Tensor, " dim"]
    factor: Float[Tensor, "dim dim"]
    log_scale: Float[Tensor, " dim"]
    slope: Float[Tensor, "dim dim"]
    square: Float[Tensor, "dim dim dim"]
    skew: Float[Tensor, " dim"]

    @property
    def log_volume(self) -> float:
        """`ln |det factor|`: what the log density of z lacks."""
        return float(torch.linalg.slogdet(self.factor)[1])

    def from_straight(self, z: Float[Tensor, "row dim"]) -> tuple[Float[Tensor, "row dim"], Float[Tensor, " row"]]:
        """`x(z)` and `ln |dx/dz|` up to the constant `ln |det factor|`."""
        log_scale, (m, m1, _) = self.log_scale + z @ self.slope.T, self._skewed(z)
        y = log_scale.exp() * m + (self._along(z) * z[:, None]).sum(2)
        return self.mean + y @ self.factor.T, log_scale.sum(1) + m1.log().sum(1)

    def to_straight(self, x: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
        """`z(x)`, one coordinate after the other."""
        y, z = torch.linalg.solve(self.factor, (x - self.mean).T).T, torch.zeros_like(x)
        for i in range(x.shape[1]):
            away = y[:, i] - ((z @ self.square[i]) * z).sum(1)
            v = away * (-self.log_scale[i] - z @ self.slope[i]).exp() + WIDTH * self.skew[i].sinh()
            z[:, i] = v * self.skew[i].cosh() - (v.square() + WIDTH**2).sqrt() * self.skew[i].sinh()
        return z

    def pull(self, target: Target) -> Target:
        """The target as a density of z: `f(x(z)) + ln |dx/dz|`, and its gradient."""

        def pulled(z: Tensor) -> tuple[Tensor, Tensor]:
            x, log_det = self.from_straight(z)
            value, score = target(x)
            return value + log_det, self._pull_score(z, score)

        return pulled

    def pull_state(self, state: State) -> State:
        """The same chains in z, without an evaluation of the target."""
        z = self.to_straight(state.x)
        return State(z, state.value + self.from_straight(z)[1], self._pull_score(z, state.score))

    def push_state(self, state: State) -> State:
        """The same chains in x, without an evaluation of the target."""
        x, log_det = self.from_straight(state.x)
        of_target = (state.score - self._log_det_score(state.x))[:, :, None]
        of_y = torch.linalg.solve_triangular(self._jacobian(state.x).mT, of_target, upper=True)[:, :, 0]
        return State(x, state.value - log_det, torch.linalg.solve(self.factor.T, of_y.T).T)

    def _skewed(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`m(z)`, `m'(z)` and `m''(z)`."""
        root, cosh, sinh = (z.square() + WIDTH**2).sqrt(), self.skew.cosh(), self.skew.sinh()
        return z * cosh + (root - WIDTH) * sinh, cosh + z / root * sinh, WIDTH**2 / root**3 * sinh

    def _along(self, z: Tensor) -> Float[Tensor, "row dim dim"]:
        """`sum_k B_ijk z_k`."""
        dim = z.shape[1]
        return (z @ self.square.reshape(dim * dim, dim).T).view(-1, dim, dim)

    def _jacobian(self, z: Tensor) -> Float[Tensor, "row dim dim"]:
        """`dy_i/dz_j` of each row: lower triangular."""
        scale, (m, m1, _) = (self.log_scale + z @ self.slope.T).exp(), self._skewed(z)
        return 2 * self._along(z) + (scale * m)[:, :, None] * self.slope + torch.diag_embed(scale * m1)

    def _log_det_score(self, z: Tensor) -> Float[Tensor, "row dim"]:
        """`grad ln |dy/dz|`."""
        _, m1, m2 = self._skewed(z)
        return self.slope.sum(0) + m2 / m1

    def _pull_score(self, z: Tensor, score: Tensor) -> Tensor:
        """`(dx/dz)' s + grad ln |dx/dz|`."""
        of_y = score @ self.factor
        return (of_y[:, None] @ self._jacobian(z))[:, 0] + self._log_det_score(z)
