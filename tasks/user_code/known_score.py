"""The known score of the data, for explicit score matching (11.2): a torch function named MODULE:FUNCTION.

It takes points `[row, dim]` in float64, in the units and the order of the data's columns, and returns their scores
`[row, dim]`, or their log densities `[row]` in nats up to a constant, differentiable, each row by itself.
"""

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.data.prepare import read_split
from scorefleet.tasks.data.schema import DataSchema, read_schema
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.store.shards import rows_of
from scorefleet.tasks.user_code import inputs
from scorefleet.tasks.user_code.guard import UserFunction, described

MAX_ERRORS = 6
"""Standard errors between a mean and what it must be (false alarm 2e-9 for a normal mean)."""


def digest_of(name: str) -> str:
    """Names the known score and all that it reads: what a step's key holds of it."""
    return inputs.for_key(inputs.observe(name, "known score", inputs.try_out))


def scores_of_rows(name: str, folder: Path) -> Float[Tensor, "row dim"]:
    """The known score at every training row, in standardised coordinates: `scale` times that in the user's units."""
    schema = read_schema(folder)
    whole = [column.name for column in schema.columns if column.is_whole]
    if whole:
        raise UsageError(
            f"train.objective explicit needs real numbers, but {whole[0]!r} holds whole numbers, which have no score: "
            "use train.objective denoising"
        )
    table = read_split(folder, "train")
    x = np.concatenate([rows_of(table[column.name], column.size) for column in schema.columns], axis=1)
    seen = inputs.observe(name, "known score", inputs.try_out)
    with inputs.complete(seen):
        score = _score(name, seen.function, torch.from_numpy(x.astype(np.float64)))
    z, scale = torch.from_numpy(schema.encode(table)).double(), torch.from_numpy(_scales(schema))
    _check_law(name, z, scale * score)
    return (scale * score).float()


def _score(name: str, function: UserFunction, x: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
    score, alone = _evaluated(name, function, x), _evaluated(name, function, x[:1])
    if not score.isfinite().all():
        bad = int((~score.isfinite()).any(1).sum())
        raise DataError(f"known score {name!r} is not finite at {bad:,} of {len(x):,} training rows")
    if not torch.allclose(alone, score[:1], rtol=1e-6):
        raise DataError(f"known score {name!r} gives a row another score beside other rows; sum over dim=1 only")
    return score


def _evaluated(name: str, function: UserFunction, x: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
    """What user code returns, a log density by its gradient; whatever it raises is one line that names it."""
    x = x.clone().requires_grad_()
    value = function(x)
    if isinstance(value, Tensor) and value.shape == (len(x),):
        value = _gradient(name, value, x)
    if not isinstance(value, Tensor) or value.shape != x.shape:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise DataError(
            f"known score {name!r} must return scores {tuple(x.shape)}, or log densities ({len(x)},), for points "
            f"{tuple(x.shape)}, but returned {got}"
        )
    return value.detach()


def _gradient(name: str, value: Float[Tensor, " row"], x: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
    try:
        return torch.autograd.grad(value.sum(), x)[0]
    except RuntimeError as error:
        raise DataError(f"known score {name!r} cannot be differentiated by the points: {described(error)}") from error


def _scales(schema: DataSchema) -> np.ndarray:
    return np.repeat([column.scale for column in schema.columns], [column.size for column in schema.columns])


def _check_law(name: str, z: Float[Tensor, "row dim"], score: Float[Tensor, "row dim"]) -> None:
    """Rows of the density have `E[z . s*(z)] = -d` (Stein): another law, unit, order or sign shows in it."""
    product = (z * score).sum(1)
    error = float(product.std()) / math.sqrt(len(z))
    if abs(float(product.mean()) + z.shape[1]) > MAX_ERRORS * error:
        raise DataError(
            f"known score {name!r} is not that of the rows: the mean of x . score must be -{z.shape[1]}, but is "
            f"{float(product.mean()):.4g} with a standard error of {error:.2g}; see to units, sign and column order"
        )
