"""How far a field of scores is from being the gradient of anything: a density's score has a symmetric Jacobian."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Field = Callable[[Tensor], Tensor]
"""Points [row, dim] -> vectors [row, dim], each row by itself, differentiable."""


def antisymmetric_share(field: Field, x: Float[Tensor, "row dim"], probes: Float[Tensor, "probe row dim"]) -> float:
    """`|(J - J')/2|_F / |J|_F`, `J` the field's Jacobians at all rows together: 0 for a gradient, 1 for a rotation.

    Over probes `v` of independent signs, `E|A v|^2 = |A|_F^2` (Hutchinson 1990), with one forward and two backward
    passes a probe: `J v` is the derivative in u of `<J'u, v>`, which is linear in u.
    """
    x = x.detach().requires_grad_()
    anti = whole = 0.0
    for v in probes:
        value = field(x)
        u = torch.zeros_like(value, requires_grad=True)
        (backward,) = torch.autograd.grad(value, x, u, create_graph=True)
        (forward,) = torch.autograd.grad(backward, u, v)
        (transposed,) = torch.autograd.grad(value, x, v)
        anti += float(((forward - transposed) / 2).double().square().sum())
        whole += float((forward.double().square().sum() + transposed.double().square().sum()) / 2)
    return (anti / whole) ** 0.5
