"""How heavy tails are, from draws of many chains, and whether it is worth a change of coordinates (`tails`).

Both maps are fitted by quantiles, which no outlier moves: the logarithm of a quantile of the draws is linear in that of
the scale and in h (Hoaglin's letter values: Exploring Data Tables, Trends and Shapes, 1985, chapter 11). A map is kept
where it brings the density much nearer to a normal one: where the Fisher divergence from N(0, I), which scores give,
falls below MUCH of what it is without.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy import special
from torch import Tensor

from scorefleet.tasks.mcmc.coordinates import metric
from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening, identity
from scorefleet.tasks.mcmc.coordinates.tails import RadialTail, TailsOfCoordinates
from scorefleet.tasks.mcmc.kernels.metropolis import State

MUCH, WORTH_IT = 0.5, 0.03
LIGHT, HEAVIEST, NUM_PASSES = 0.03, 1.0, 4
"""An h that is no heavier than LIGHT is none; the tail of a Cauchy distribution has h = 1."""

SIDES = (0.5, 0.25, 0.1, 0.05, 0.025, 0.01, 0.005)
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995)


def is_worth(before: float, after: float) -> bool:
    """Whether a map that brings the divergence from `before` to `after` is kept."""
    return after < min(MUCH * before, before - WORTH_IT)


def of_coordinates(x: Float[Tensor, "row dim"]) -> TailsOfCoordinates | None:
    """Of each coordinate by itself; None where all have light tails."""
    centre = x.quantile(0.5, 0)
    z = torch.tensor(-special.ndtri([p / 2 for p in SIDES])).to(x)
    log_size = torch.stack([_log_of_side(centre - x, z), _log_of_side(x - centre, z)])
    terms = torch.zeros(2, len(z), 3).to(x)
    terms[:, :, 0] = 1
    terms[0, :, 1] = terms[1, :, 2] = 0.5 * z.square()
    solved = torch.linalg.lstsq(terms.flatten(0, 1), log_size.flatten(0, 1)).solution
    heaviness = torch.where(solved[1:] > LIGHT, solved[1:], 0.0).clamp(max=HEAVIEST)
    scale = solved[0].exp()
    if not bool(scale.isfinite().all() & heaviness.isfinite().all() & (heaviness > 0).any()):
        return None
    return TailsOfCoordinates(centre, scale, heaviness)


def _log_of_side(away: Float[Tensor, "row dim"], z: Float[Tensor, " level"]) -> Float[Tensor, "level dim"]:
    """`ln(q/z)` of the quantiles of what lies on one side of the centre, against those of half a normal."""
    ordered = away.sort(0, descending=True).values
    rank = [min(int(p / 2 * len(away)), len(away) - 1) for p in SIDES]
    return ordered[rank].clamp(min=1e-300).log() - z.log()[:, None]


def of_chi(levels: tuple[float, ...], dim: int) -> Float[np.ndarray, " level"]:
    """Quantiles of the length of a standard normal vector."""
    return np.sqrt(2 * special.gammaincinv(dim / 2, levels))


def of_radius(r: Float[Tensor, " row"], dim: int) -> tuple[RadialTail, float]:
    """The tail of the distance from the centre, and the scale inside it, by the knee that leaves least."""
    levels = torch.tensor(LEVELS).to(r)
    log_r, s = r.quantile(levels).clamp(min=1e-300).log(), torch.tensor(of_chi(LEVELS, dim)).to(r)
    best, least = (0.0, 0.0, 0.0), math.inf
    for knee in torch.linspace(0, 1.5 * math.sqrt(dim), 13).tolist():
        bend = 0.5 * ((knee**2 + s.square()).sqrt() - knee).square()
        terms, wanted = torch.stack([torch.ones_like(s), bend], 1), log_r - s.log()
        log_scale, heaviness = torch.linalg.lstsq(terms, wanted[:, None]).solution[:, 0].tolist()
        heaviness = min(max(heaviness, 0.0), HEAVIEST)
        left = wanted - heaviness * bend
        log_scale = float(left.mean())
        if (error := float((left - log_scale).square().sum())) < least:
            best, least = (heaviness, knee, log_scale), error
    heaviness, knee, log_scale = best
    return RadialTail(r.new_tensor(heaviness), r.new_tensor(knee)), math.exp(log_scale)


def of_distance(whitening: Whitening, state: State) -> tuple[Whitening, RadialTail] | None:
    """A whitening whose distances have a heavy tail, and that tail; both are found in turn, so that the metric is that
    of rows without outliers. None where the tail is light or the map not worth it.
    """
    fitted, dim = Whitening(state.x.quantile(0.5, 0), whitening.factor), state.x.shape[1]
    tail = None
    for _ in range(NUM_PASSES):
        tail, scale = of_radius(fitted.to_white(state.x).norm(dim=1), dim)
        if tail.heaviness <= LIGHT:
            return None
        fitted = fitted._replace(factor=scale * fitted.factor)
        inner = tail.pull_state(fitted.pull_state(state))
        turn = metric.learn(identity(dim, state.x.dtype, fitted.is_diagonal), inner.x, inner.score)
        factor = fitted.factor * turn.factor if fitted.is_diagonal else fitted.factor @ turn.factor
        fitted = Whitening(fitted.from_white(turn.mean[None])[0], factor)
    assert tail is not None
    before = divergence(whitening.pull_state(state))
    return (fitted, tail) if is_worth(before, divergence(tail.pull_state(fitted.pull_state(state)))) else None


def with_radial_tail(coordinates: Coordinates, state: State) -> Coordinates:
    """The same coordinates, or those with a radial tail inside."""
    outer = coordinates._replace(whitening=identity(state.x.shape[1], state.x.dtype, True))
    found = of_distance(coordinates.whitening, outer.pull_state(state))
    return coordinates._replace(whitening=found[0], radial=found[1]) if found else coordinates


def divergence(state: State) -> float:
    """`E|s(w) + w|^2` of rows that are nearly white."""
    return float((state.x + state.score).square().sum(1).mean())
