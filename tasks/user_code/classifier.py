"""A user's own classifier: a torch function named MODULE:FUNCTION, found like a density of one's own.

The function takes points `[row, dim]` in the user's units and float64, and returns the log probabilities of the classes
`[row, class]`, differentiable, each row by itself.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.data.schema import DataSchema
from scorefleet.tasks.ebm import noise
from scorefleet.tasks.ebm.compose import LogClassifier
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.user_code import inputs
from scorefleet.tasks.user_code.inputs import Observed

NUM_PROBES = 16
TOLERANCE = 1e-3
Classifier = Callable[[Tensor], Tensor]
"""Points [row, dim] in the user's units -> log probabilities of the classes [row, class]."""


def observe(name: str) -> Observed:
    """The function that `name`, MODULE:FUNCTION, stands for, and what it reads; UsageError when there is none."""
    return inputs.observe(name, "classifier", inputs.try_out)


def observed(name: str) -> Observed:
    """The function as it was when it was last observed."""
    return inputs.observed(name, "classifier", inputs.try_out)


def on_noised(classify: Classifier, schema: DataSchema) -> LogClassifier:
    """`ln p(class | x' / sqrt(1-beta))`, of noised points in standardised coordinates, which the function is given in
    the user's units; on the CPU, where its own tensors are.
    """
    location, scale = torch.from_numpy(schema.location), torch.from_numpy(schema.scale)

    def log_probabilities(x: Float[Tensor, "row dim"], logit_beta: Float[Tensor, " row"]) -> Tensor:
        z = (x / noise.signal_level(logit_beta)[:, None]).cpu().double()
        return classify(location + scale * z).to(x)

    return log_probabilities


def check(name: str, classify: Classifier, label: int, schema: DataSchema) -> None:
    """Refuse a function that is no classifier of independent rows, or that has no class `label`, in one line."""
    z = torch.randn(NUM_PROBES, schema.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = (torch.from_numpy(schema.location) + torch.from_numpy(schema.scale) * z).requires_grad_()
    value, first = classify(x), classify(x[:1])
    if not isinstance(value, Tensor) or value.ndim != 2 or len(value) != NUM_PROBES:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise DataError(
            f"classifier {name!r} must return the log probabilities of the classes of each row, shape ({NUM_PROBES}, "
            f"number of classes) for points {tuple(x.shape)}, but returned {got}"
        )
    if not label < value.shape[1]:
        raise UsageError(f"label must be from 0 to {value.shape[1] - 1}, the classes of {name!r}, but got {label}")
    _require_gradient(name, value[:, label], x)
    value, first = value.detach(), first.detach()
    total = float((value.logsumexp(1).exp() - 1).abs().max())
    if not total < TOLERANCE:
        raise DataError(
            f"classifier {name!r} must return log probabilities, whose exponentials add up to 1 in each row, but they "
            f"are off by {total:.3g}: end it with log_softmax(1)"
        )
    if not torch.allclose(first, value[:1], rtol=1e-4, atol=1e-6):
        raise DataError(
            f"classifier {name!r} gives a row other probabilities beside other rows: ln p of {label} is "
            f"{float(first[0, label]):.6g} alone and {float(value[0, label]):.6g} among {NUM_PROBES}"
        )


def _require_gradient(name: str, value: Float[Tensor, " row"], x: Float[Tensor, "row dim"]) -> None:
    (score,) = torch.autograd.grad(value.sum(), x, allow_unused=True) if value.requires_grad else (None,)
    if score is None:
        raise DataError(f"classifier {name!r} has no gradient: its probabilities must depend on the points, in torch")
    if not (value.isfinite() & score.isfinite().all(1)).any():
        raise DataError(f"classifier {name!r} is finite, with its gradient, at none of {NUM_PROBES} points")
