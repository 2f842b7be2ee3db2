"""Where a density lives: each part of a point is carried to the whole real line by an exact transform, whose Jacobian
joins the density, so that chains never meet a border.

The transforms are those of `torch.distributions`: `x = exp z` for positive numbers, a shifted and scaled logistic for
a box, stick breaking for the simplex, whose n coordinates come of n - 1 real ones.
"""

import re
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import biject_to, constraints
from torch.distributions.transforms import Transform

from scorefleet.tasks.mcmc.targets import LogDensity

PART = re.compile(r"(real|positive|simplex|box\(([^(),]+),([^(),]+)\))(?:\*(\d+))?")


@dataclass(frozen=True)
class Part:
    """Neighbouring coordinates under one constraint: `dim` of them, that come of `free` real ones."""

    transform: Transform
    dim: int
    free: int


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

    def constrain(self, z: Float[Tensor, "chain free"]) -> tuple[Float[Tensor, "chain dim"], Float[Tensor, " chain"]]:
        """The points `x(z)` and `ln |dx/dz|`."""
        xs, log_det = [], z.new_zeros(len(z))
        for part, free in zip(self.parts, z.split([part.free for part in self.parts], dim=1), strict=True):
            x = part.transform(free)
            log_det = log_det + part.transform.log_abs_det_jacobian(free, x).reshape(len(z), -1).sum(1)
            xs.append(x)
        return torch.cat(xs, dim=1), log_det

    def to_free(self, x: Float[Tensor, "chain dim"]) -> Float[Tensor, "chain free"]:
        """`z(x)`, of points inside; whatever it is for others, `constrain` does not lead back to them."""
        zs = list[Tensor]()
        for part, values in zip(self.parts, x.split([part.dim for part in self.parts], dim=1), strict=True):
            z = part.transform.inv(values)
            assert z is not None  # as torch types it
            zs.append(z)
        return torch.cat(zs, dim=1)

    def pull(self, log_density: LogDensity) -> LogDensity:
        """`f(x(z)) + ln |dx/dz|`: the log density of z when x has the log density f."""

        def of_free(z: Float[Tensor, "chain free"]) -> Float[Tensor, " chain"]:
            x, log_det = self.constrain(z)
            return log_density(x) + log_det

        return of_free


def parse(text: str, dim: int) -> Support:
    """A support from words such as `real`, `real*25, positive`, `box(0, 1)*3`, `simplex*4`.

    A word without a number stands for one coordinate, and where it is the only one for all `dim` of them. ValueError
    where the words are others, or do not add up to `dim`.
    """
    words = [word.strip() for word in re.split(r",(?![^(]*\))", text)]
    parts = [_part(word, dim if len(words) == 1 else 1) for word in words]
    support = Support(tuple(parts))
    if support.dim != dim:
        raise ValueError(f"support must have as many coordinates as dim, {dim}, but {text!r} has {support.dim}")
    return support


def _part(word: str, default: int) -> Part:
    found = PART.fullmatch(word)
    if found is None:
        raise ValueError(
            f"support must be real, positive, simplex or box(LOW, HIGH), each with *COUNT, but got {word!r}"
        )
    dim = int(found[4]) if found[4] else default
    if found[1] == "simplex":
        if dim < 2:
            raise ValueError(f"a simplex must have 2 coordinates or more, but got {word!r}")
        return Part(biject_to(constraints.simplex), dim, dim - 1)
    return Part(biject_to(_constraint(word, found)), dim, dim)


def _constraint(word: str, found: re.Match[str]) -> constraints.Constraint:
    if found[1] == "real":
        return constraints.real
    if found[1] == "positive":
        return constraints.positive
    try:
        low, high = float(found[2]), float(found[3])
    except ValueError as error:
        raise ValueError(f"the bounds of a box must be numbers, but got {word!r}") from error
    if not low < high:
        raise ValueError(f"the first bound of a box must be below the second, but got {word!r}")
    return constraints.interval(low, high)
