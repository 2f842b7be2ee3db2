"""The inverse Hessian of a climb as a matrix a chain, updated by BFGS (Nocedal & Wright, Numerical Optimization, 2006,
chapter 6).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Dense(NamedTuple):
    """H of each chain, and whether a first step set its scale."""

    matrix: Float[Tensor, "chain dim dim"]
    is_scaled: Bool[Tensor, " chain"]

    def direction(self, score: Float[Tensor, "chain dim"]) -> Float[Tensor, "chain dim"]:
        """`H g`."""
        return (self.matrix @ score[:, :, None])[:, :, 0]

    def widths(self) -> Float[Tensor, "chain dim"]:
        """The square roots of the diagonal of H."""
        return self.matrix.diagonal(dim1=1, dim2=2).sqrt()

    def updated(
        self, s: Float[Tensor, "chain dim"], y: Float[Tensor, "chain dim"], is_taken: Bool[Tensor, " chain"]
    ) -> "Dense":
        """With the step s and the change y of the gradient of U where it was taken; at first `H = s'y/y'y I`."""
        scale = ((s * y).sum(1) / y.square().sum(1)).clamp(min=1e-12).nan_to_num(1.0)
        eye = torch.eye(s.shape[1]).to(s)
        rescaled = torch.where((~self.is_scaled)[:, None, None], scale[:, None, None] * eye, self.matrix)
        matrix = torch.where(is_taken[:, None, None], update_inverse(rescaled, s, y), self.matrix)
        return Dense(matrix, self.is_scaled | is_taken)

    def colour(
        self, noise: Float[Tensor, "chain dim"]
    ) -> tuple[Float[Tensor, "chain dim"], Float[Tensor, " chain"], Bool[Tensor, " chain"]]:
        """A draw of N(0, H) made of standard normal noise, `ln det H / 2`, and whether H is positive definite."""
        factor, failed = torch.linalg.cholesky_ex(self.matrix)
        return (factor @ noise[:, :, None])[:, :, 0], factor.diagonal(dim1=1, dim2=2).log().sum(1), failed == 0


def start(score: Float[Tensor, "chain dim"]) -> Dense:
    """`H = I/max(1, |g|)`."""
    num_chains, dim = score.shape
    eye = torch.eye(dim).to(score).expand(num_chains, dim, dim)
    none = torch.zeros(num_chains, dtype=torch.bool, device=score.device)
    return Dense(eye / score.norm(dim=1).clamp(min=1)[:, None, None], none)


def update_inverse(
    inverse: Float[Tensor, "chain dim dim"], s: Float[Tensor, "chain dim"], y: Float[Tensor, "chain dim"]
) -> Float[Tensor, "chain dim dim"]:
    """BFGS: `(I - r s y') H (I - r y s') + r s s'` with `r = 1/s'y`, so that H y = s; kept where `s'y <= 0`."""
    curvature = (s * y).sum(1)
    is_convex = curvature > 1e-14 * s.norm(dim=1) * y.norm(dim=1)
    rho = torch.where(is_convex, 1 / curvature, 0.0)[:, None, None]
    left = torch.eye(s.shape[1]).to(s) - rho * s[:, :, None] * y[:, None, :]
    new = left @ inverse @ left.mT + rho * s[:, :, None] * s[:, None, :]
    return torch.where((is_convex & new.isfinite().all((1, 2)))[:, None, None], 0.5 * (new + new.mT), inverse)
