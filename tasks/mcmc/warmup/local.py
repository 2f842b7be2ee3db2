"""One mode by itself: its part of Z, and a mixture that is fitted to chains that were warmed up in it."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.coordinates import metric
from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening
from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import laplace, mixture
from scorefleet.tasks.mcmc.warmup.mixture import Mixture
from scorefleet.tasks.mcmc.warmup.windows import LENGTH, Tuned, run_window

NUM_CHAINS, SHORT, LONG, NUM_WEIGHED, MOST_FITTED = 32, 32, 64, 256, 50
WEIGH, START, FIT, FIRST_WINDOW, PHASES = 0, 1, 2, 3, 10
FIRST_PHASE = 100


class Place(NamedTuple):
    """Where modes are looked for: a target, the warm-up's `coordinates`, an `affine` map that is like them, and warm
    chains in the coordinates of the target.
    """

    stream: Stream
    target: Target
    coordinates: Coordinates
    affine: Whitening
    state: State

    def white(self, state: State) -> State:
        """The same points in white coordinates, with the log density there."""
        return self.coordinates.pull_state(state)


class Found(NamedTuple):
    """A mode: the Gaussian at its maximum in affine and in white coordinates, and `ln` of its part of Z in the white
    ones.
    """

    gaussian: Mixture
    white: Mixture
    log_mass: float


def affine_of(coordinates: Coordinates, x: Float[Tensor, "row dim"]) -> Whitening:
    """The coordinates themselves where they are affine, else means and standard deviations of x."""
    if coordinates.is_affine:
        return coordinates.whitening
    return Whitening(x.mean(0), torch.diag(x.std(0)))


def weigh(place: Place, k: int, x: Float[Tensor, " dim"], width: Float[Tensor, " dim"]) -> tuple[Found | None, int]:
    """The mode near x, of about this width in affine coordinates, and evaluations; None where there is no maximum."""
    target, phase = place.affine.pull(place.target), FIRST_PHASE + PHASES * k
    gaussian, used = laplace.gaussian_at(target, place.affine.to_white(x[None])[0], width)
    if gaussian is None:
        return None, used
    z = gaussian.draw(place.stream.at(phase, WEIGH), NUM_WEIGHED)
    state = metropolis.init(z, target)
    used += NUM_WEIGHED // NUM_CHAINS
    volume = place.affine.log_volume - place.coordinates.log_volume
    log_mass = laplace.log_mass(state.value, gaussian.log_density(z)) + volume
    white = gaussian if place.affine is place.coordinates.whitening else _gaussian(place, z)
    return Found(gaussian, white, log_mass) if white else None, used


def height(place: Place, found: Found, log_q: Float[Tensor, " mode"]) -> float:
    """`f - ln q` at the maximum of a mode, in white coordinates: about 0 where q knows the mode."""
    return float(place.coordinates.pull(place.target)(found.white.mean)[0] - log_q)


def _gaussian(place: Place, z: Float[Tensor, "row dim"]) -> Mixture | None:
    """The Gaussian of points in white coordinates, where all are finite."""
    w = place.coordinates.to_white(place.affine.from_white(z))
    return mixture.maximise(place.stream.at(0, 0), w, 1) if bool(w.isfinite().all()) else None


def warm_up(place: Place, k: int, found: Found) -> tuple[Mixture, int]:
    """Chains that start at draws of the Gaussian and learn a metric; the mixture of their draws in white coordinates,
    and evaluations.
    """
    phase, affine = FIRST_PHASE + PHASES * k, place.affine
    x = affine.from_white(found.gaussian.draw(place.stream.at(phase, START), NUM_CHAINS))
    state, factor = metropolis.init(x, place.target), torch.diag(affine.factor) if affine.is_diagonal else affine.factor
    whitening = Whitening(affine.from_white(found.gaussian.mean)[0], factor @ found.gaussian.factor[0])
    tuned = Tuned(Coordinates(whitening), x.shape[1] ** -0.25, LENGTH)
    first = run_window(place.stream, phase + FIRST_WINDOW, state, place.target, tuned, SHORT)
    whitening = metric.learn(whitening, first.x.flatten(0, 1), first.score.flatten(0, 1))
    tuned = Tuned(Coordinates(whitening), first.step_size, LENGTH)
    last = run_window(place.stream, phase + FIRST_WINDOW + 1, first.state, place.target, tuned, LONG)
    score = last.score.flatten(0, 1)
    white = place.white(State(last.x.flatten(0, 1), score[:, 0], score))
    return _fitted(place.stream, phase, white, last.x.shape), 1 + first.num_gradients + last.num_gradients


def _fitted(stream: Stream, phase: int, rows: State, shape: torch.Size) -> Mixture:
    """A mixture of draws in a metric of their own, with tails."""
    whitening = metric.learn(Whitening(rows.x.mean(0), torch.diag(rows.x.std(0))), rows.x, rows.score)
    x = whitening.to_white(rows.x)
    fitted = mixture.fit(stream.at(phase, FIT), x.view(shape)) if shape[2] <= MOST_FITTED else mixture.white(x)
    return mixture.with_tails(fitted, mixture.TAILS, mixture.TAIL_WIDTH).pushed(whitening)
