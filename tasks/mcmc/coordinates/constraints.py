"""Where a density lives: each part of a point is carried to the whole real line by an exact transform, whose Jacobian
joins the density, so that chains never meet a border.

| word | transform | volume |
|---|---|---|
| real, positive | `x = z`, `x = exp z` | all coordinates |
| box, above, below | a shifted and scaled logistic, `low + exp z`, `high - exp z` | all coordinates |
| ordered | `x_1 = z_1`, `x_k = x_{k-1} + exp z_k` | all coordinates |
| simplex | stick breaking: n coordinates come of n - 1 real ones | all coordinates but the last |
| correlation_cholesky | partial correlations by tanh; the rows have length 1 | the entries below the diagonal |
| unit_vector | `x = z / |z|`, where `|z|` has a chi law of its own | the surface of the sphere |

The transforms are those of Stan's reference manual, most of them by `torch.distributions`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import biject_to, constraints
from torch.distributions.transforms import CorrCholeskyTransform, Transform

from scorefleet.tasks.config import support as words_of_supports
from scorefleet.tasks.config.support import Words
from scorefleet.tasks.mcmc.targets import LogDensity


@dataclass(frozen=True)
class Way:
    """From real numbers [chain, ..., free] to a block [chain, ..., n], with `ln |dx/dz|` of what it has a volume, and
    back.
    """

    there: Callable[[Tensor], tuple[Tensor, Tensor]]
    back: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Part:
    """Neighbouring coordinates under one constraint: `dim` of them, that come of `free` real ones."""

    words: Words
    way: Way
    dim: int
    free: int

    def constrain(self, z: Float[Tensor, "chain free"]) -> tuple[Float[Tensor, "chain dim"], Float[Tensor, " chain"]]:
        """`x(z)` and `ln |dx/dz|`."""
        x, log_det = self.way.there(z.reshape(len(z), *self._vectors, -1) if self._vectors else z)
        return x.reshape(len(z), self.dim), log_det.reshape(len(z), -1).sum(1)

    def to_free(self, x: Float[Tensor, "chain dim"]) -> Float[Tensor, "chain free"]:
        """`z(x)`."""
        return self.way.back(x.reshape(len(x), *self._vectors, -1) if self._vectors else x).reshape(len(x), self.free)

    def block(self, x: Float[Tensor, "chain dim"]) -> Tensor:
        """The block [chain, *shape] that the user's function gets."""
        if self.words.kind == "correlation_cholesky":
            return _factor(x, self.words.shape[0])
        return x.reshape(len(x), *self.words.shape)

    @property
    def _vectors(self) -> tuple[int, ...]:
        """How many vectors there are, each under the constraint; () where coordinates are."""
        return self.words.shape[:-1] if self.words.kind in ("simplex", "ordered", "unit_vector") else ()


@dataclass(frozen=True)
class Support:
    """All coordinates of a point, in parts."""

    parts: tuple[Part, ...]

    @property
    def dim(self) -> int:
        """Coordinates of a point."""
        return sum(part.dim for part in self.parts)

    @property
    def free(self) -> int:
        """Real coordinates that the chains move in."""
        return sum(part.free for part in self.parts)

    @property
    def is_named(self) -> bool:
        """Whether the user's function takes named blocks."""
        return bool(self.parts[0].words.name)

    def constrain(self, z: Float[Tensor, "chain free"]) -> tuple[Float[Tensor, "chain dim"], Float[Tensor, " chain"]]:
        """The points `x(z)` and `ln |dx/dz|`."""
        xs, log_det = [], z.new_zeros(len(z))
        for part, free in zip(self.parts, z.split([part.free for part in self.parts], dim=1), strict=True):
            x, its_log_det = part.constrain(free)
            log_det = log_det + its_log_det
            xs.append(x)
        return torch.cat(xs, dim=1), log_det

    def to_free(self, x: Float[Tensor, "chain dim"]) -> Float[Tensor, "chain free"]:
        """`z(x)`, of points inside; whatever it is for others, `constrain` does not lead back to them."""
        pieces = x.split([part.dim for part in self.parts], dim=1)
        return torch.cat([part.to_free(piece) for part, piece in zip(self.parts, pieces, strict=True)], dim=1)

    def blocks(self, x: Float[Tensor, "chain dim"]) -> dict[str, Tensor]:
        """Each named block of the points, [chain, *shape]."""
        pieces = x.split([part.dim for part in self.parts], dim=1)
        return {part.words.name: part.block(piece) for part, piece in zip(self.parts, pieces, strict=True)}

    def pull(self, log_density: LogDensity) -> LogDensity:
        """`f(x(z)) + ln |dx/dz|`: the log density of z when x has the log density f."""

        def of_free(z: Float[Tensor, "chain free"]) -> Float[Tensor, " chain"]:
            x, log_det = self.constrain(z)
            return log_density(x) + log_det

        return of_free


def parse(text: str, dim: int = 0) -> Support:
    """The support that `config.support.parse` reads."""
    return Support(tuple(part_of(words) for words in words_of_supports.parse(text, dim)))


def part_of(words: Words) -> Part:
    """One part, as its words have it."""
    num_vectors = math.prod(words.shape[:-1])
    free = words.size - num_vectors if words.kind == "simplex" else words.size
    return Part(words, WAYS[words.kind](words), words.size, free)


def _by(transform: Transform) -> Way:
    """A transform of torch's."""

    def there(z: Tensor) -> tuple[Tensor, Tensor]:
        x = transform(z)
        assert x is not None  # as torch types it
        return x, transform.log_abs_det_jacobian(z, x)

    def back(x: Tensor) -> Tensor:
        z = transform.inv(x)
        assert z is not None  # as torch types it
        return z

    return Way(there, back)


def _ordered(words: Words) -> Way:
    def there(z: Tensor) -> tuple[Tensor, Tensor]:
        steps = torch.cat([z[..., :1], z[..., 1:].exp()], dim=-1)
        return steps.cumsum(-1), z[..., 1:].sum(-1)

    def back(x: Tensor) -> Tensor:
        return torch.cat([x[..., :1], x.diff(dim=-1).log()], dim=-1)

    return Way(there, back)


def _unit_vector(words: Words) -> Way:
    """With `z = r u` the density `f(u) exp(-r^2/2) / c`, `c = 2^(n/2-1) Gamma(n/2)`, has the marginal f of u."""
    n = words.shape[-1]
    log_c = (n / 2 - 1) * math.log(2) + math.lgamma(n / 2)

    def there(z: Tensor) -> tuple[Tensor, Tensor]:
        squared = z.square().sum(-1, keepdim=True)
        return z / squared.sqrt(), -squared[..., 0] / 2 - log_c

    return Way(there, lambda x: x * math.sqrt(n - 1))  # the radius of most mass


def _correlation(words: Words) -> Way:
    n, transform = words.shape[0], CorrCholeskyTransform()
    row, column = torch.tril_indices(n, n, offset=-1)

    def there(z: Tensor) -> tuple[Tensor, Tensor]:
        factor = transform(z)
        assert factor is not None  # as torch types it
        return factor[:, row, column], transform.log_abs_det_jacobian(z, factor)

    def back(x: Tensor) -> Tensor:
        z = transform.inv(_factor(x, n))
        assert z is not None  # as torch types it
        return z

    return Way(there, back)


def _factor(x: Float[Tensor, "chain entry"], n: int) -> Float[Tensor, "chain n n"]:
    """The Cholesky factor of a correlation matrix, whose rows have length 1, from its entries below the diagonal."""
    row, column = torch.tril_indices(n, n, offset=-1)
    below = x.new_zeros(len(x), n, n).index_put((torch.arange(len(x))[:, None], row, column), x)
    diagonal = (1 - below.square().sum(-1)).clamp(min=torch.finfo(x.dtype).tiny).sqrt()
    return below + torch.diag_embed(diagonal)


WAYS: dict[str, Callable[[Words], Way]] = {
    "real": lambda _: _by(biject_to(constraints.real)),
    "positive": lambda _: _by(biject_to(constraints.positive)),
    "box": lambda words: _by(biject_to(constraints.interval(*words.bounds))),
    "above": lambda words: _by(biject_to(constraints.greater_than(*words.bounds))),
    "below": lambda words: _by(biject_to(constraints.less_than(*words.bounds))),
    "simplex": lambda _: _by(biject_to(constraints.simplex)),
    "ordered": _ordered,
    "unit_vector": _unit_vector,
    "correlation_cholesky": _correlation,
}
