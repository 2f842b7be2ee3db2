"""The inverse Hessian of a climb in many dimensions, held as its last 10 steps: 20 d numbers a chain and not d^2.

L-BFGS (Nocedal, Mathematics of Computation 35, 1980; the product H v is Nocedal & Wright's algorithm 7.4). H differs
from `scale I` only in the span of the steps and changes of gradient, so that a draw of N(0, H) and ln det H need no
more than a QR decomposition of those (Zhang et al., JMLR 23, 2022, section 2).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MEMORY = 10


class Limited(NamedTuple):
    """`scale` of the identity, and the latest steps s and changes y of the gradient of U, the newest last; zeros are no
    step.
    """

    scale: Float[Tensor, " chain"]
    steps: Float[Tensor, "chain memory dim"]
    changes: Float[Tensor, "chain memory dim"]

    def widths(self) -> Float[Tensor, "chain dim"]:
        """About the square roots of the diagonal of H: that of the scale."""
        return self.scale.sqrt()[:, None].expand(-1, self.steps.shape[2])

    def apply(self, v: Float[Tensor, "chain dim column"]) -> Float[Tensor, "chain dim column"]:
        """`H v`."""
        curvature = (self.steps * self.changes).sum(2)
        rho = torch.where(curvature > 0, 1 / curvature, 0.0)[:, :, None, None]
        s, y, taken = self.steps[:, :, None, :], self.changes[:, :, None, :], []
        for i in reversed(range(s.shape[1])):
            taken.append(rho[:, i] * (s[:, i] @ v))
            v = v - y[:, i].mT @ taken[-1]
        v = self.scale[:, None, None] * v
        for i in range(s.shape[1]):
            v = v + s[:, i].mT @ (taken[-1 - i] - rho[:, i] * (y[:, i] @ v))
        return v

    def direction(self, score: Float[Tensor, "chain dim"]) -> Float[Tensor, "chain dim"]:
        """`H g`."""
        return self.apply(score[:, :, None])[:, :, 0]

    def updated(
        self, s: Float[Tensor, "chain dim"], y: Float[Tensor, "chain dim"], is_taken: Bool[Tensor, " chain"]
    ) -> "Limited":
        """With one step more where it was taken and `s'y > 0`."""
        curvature = (s * y).sum(1)
        is_new = is_taken & (curvature > 1e-14 * s.norm(dim=1) * y.norm(dim=1))
        scale = torch.where(is_new, curvature / y.square().sum(1), self.scale)
        steps, changes = (
            torch.where(is_new[:, None, None], torch.cat([old[:, 1:], new[:, None]], 1), old)
            for old, new in ((self.steps, s), (self.changes, y))
        )
        return Limited(scale, steps, changes)

    def colour(
        self, noise: Float[Tensor, "chain dim"]
    ) -> tuple[Float[Tensor, "chain dim"], Float[Tensor, " chain"], Bool[Tensor, " chain"]]:
        """A draw of N(0, H) made of standard normal noise, `ln det H / 2`, and whether H is positive definite."""
        basis, _ = torch.linalg.qr(torch.cat([self.steps, self.changes], 1).mT)
        small = basis.mT @ self.apply(basis)
        factor, failed = torch.linalg.cholesky_ex(0.5 * (small + small.mT))
        inside = basis.mT @ noise[:, :, None]
        drawn = self.scale.sqrt()[:, None, None] * (noise[:, :, None] - basis @ inside) + basis @ (factor @ inside)
        outside = noise.shape[1] - basis.shape[2]
        half_log_det = factor.diagonal(dim1=1, dim2=2).log().sum(1) + 0.5 * outside * self.scale.log()
        return drawn[:, :, 0], half_log_det, failed == 0


def start(score: Float[Tensor, "chain dim"]) -> Limited:
    """`H = I/max(1, |g|)`, with memory for 10 steps."""
    none = score.new_zeros(len(score), MEMORY, score.shape[1])
    return Limited(1 / score.norm(dim=1).clamp(min=1), none, none)
