"""A density that costs next to nothing, for runs whose size is what is measured."""

from torch import Tensor


def log_density(x: Tensor) -> Tensor:
    """`-|x|^2/2`, in nats up to a constant."""
    return -0.5 * (x * x).sum(1)
