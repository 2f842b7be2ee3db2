"""The words of a support: where parts of a point live, what they are called and what shape they have.

    real*25, positive                                   coordinates by number
    beta[8]: real, tau: positive, L[3,3]: correlation_cholesky      named blocks

Known without torch. `KINDS` says of each word how many coordinates a block of some shape has.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

PART = re.compile(
    r"(?:(?P<name>[^\W\d]\w*)(?:\[(?P<shape>[\d,\s]*)\])?\s*:\s*)?"
    r"(?P<kind>\w+)(?:\((?P<bounds>[^()]*)\))?(?:\*(?P<count>\d+))?"
)
NUM_BOUNDS = {"box": 2, "above": 1, "below": 1}


@dataclass(frozen=True)
class Words:
    """Neighbouring coordinates under one constraint; a block has a name, and others a shape (count,)."""

    kind: str
    bounds: tuple[float, ...]
    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Coordinates of the point: those of a correlation's Cholesky factor are the entries below its diagonal."""
        return KINDS[self.kind](self.shape)

    @property
    def labels(self) -> list[str]:
        """`beta[2,0]`: what each coordinate is called, in the order of the point; of named blocks only."""
        indices = [range(length) for length in self.shape]
        places: list[tuple[int, ...]] = [()]
        for index in indices:
            places = [(*place, k) for place in places for k in index]
        if self.kind == "correlation_cholesky":
            places = [place for place in places if place[0] > place[1]]
        return [f"{self.name}[{','.join(map(str, place))}]" if place else self.name for place in places]


def _of_numbers(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


def _of_vectors(shape: tuple[int, ...]) -> int:
    if not shape or shape[-1] < 2:
        raise ValueError("must have 2 coordinates or more")
    return math.prod(shape)


def _of_factor(shape: tuple[int, ...]) -> int:
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
        raise ValueError("must be a named square block, such as L[3,3]: correlation_cholesky")
    return shape[0] * (shape[0] - 1) // 2


KINDS: dict[str, Callable[[tuple[int, ...]], int]] = {
    "real": _of_numbers,
    "positive": _of_numbers,
    "box": _of_numbers,
    "above": _of_numbers,
    "below": _of_numbers,
    "simplex": _of_vectors,
    "ordered": _of_vectors,
    "unit_vector": _of_vectors,
    "correlation_cholesky": _of_factor,
}


def parse(text: str, dim: int = 0) -> tuple[Words, ...]:
    """Return the parts of a support of `dim` coordinates, or of as many as it says where `dim` is 0.

    A word without a number stands for one coordinate, and where it is the only one for all `dim` of them. ValueError
    where words are others, or do not add up to `dim`.
    """
    pieces = [piece.strip() for piece in re.split(r",(?![^(]*\))(?![^\[]*\])", text)]
    alone = dim if len(pieces) == 1 and dim else 1
    parts = tuple(_part(piece, alone) for piece in pieces)
    named = [part.name for part in parts if part.name]
    if len(set(named)) not in (0, len(parts)):
        raise ValueError(f"support must name every part, each by a name of its own, or none, but got {text!r}")
    size = sum(part.size for part in parts)
    if dim and size != dim:
        raise ValueError(f"support must have as many coordinates as dim, {dim}, but {text!r} has {size}")
    return parts


def _part(piece: str, alone: int) -> Words:
    found = PART.fullmatch(piece)
    if found is None or found["kind"] not in KINDS or (found["name"] and found["count"]):
        raise ValueError(
            f"support must be {', '.join(KINDS)}, each with *COUNT, or NAME: or NAME[SHAPE]: before it, box(LOW, HIGH) "
            f"with its bounds, above(LOW) and below(HIGH) with theirs, but got {piece!r}"
        )
    kind = found["kind"]
    shape = (int(found["count"] or alone),)
    if found["name"]:
        shape = tuple(int(length) for length in re.findall(r"\d+", found["shape"] or ""))
    words = Words(kind, _bounds(piece, kind, found["bounds"]), found["name"] or "", shape)
    try:
        size = words.size
    except ValueError as error:
        raise ValueError(f"a {kind} {error}, but got {piece!r}") from error
    if not size:
        raise ValueError(f"a part must have a coordinate or more, but got {piece!r}")
    return words


def _bounds(piece: str, kind: str, text: str | None) -> tuple[float, ...]:
    given, wanted = [] if text is None else text.split(","), NUM_BOUNDS.get(kind, 0)
    if len(given) != wanted:
        raise ValueError(f"{kind} takes {wanted or 'no'} bounds, but got {piece!r}")
    try:
        bounds = tuple(float(word) for word in given)
    except ValueError as error:
        raise ValueError(f"the bounds of a {kind} must be numbers, but got {piece!r}") from error
    if not all(math.isfinite(bound) for bound in bounds):
        raise ValueError(f"the bounds of a {kind} must be finite, but got {piece!r}")
    if kind == "box" and not bounds[0] < bounds[1]:
        raise ValueError(f"the first bound of a box must be below the second, but got {piece!r}")
    return bounds
