"""Warm-up from a cold start, all chains together: climb, look for modes, learn coordinates and jumps, freeze.

1. *Climb* (`descent`): every chain starts at a draw of the best Gaussian on its way to a maximum.
2. *Rescue*: chains that stuck far from the mass of the others start at another's draw.
3. *Windows* of 16, 32, 64, 96, 128 and 128 gradients, the first quarter of each dropped. The step size follows the mean
   acceptance of trajectories; chains that are stuck after a window start at another's place.
4. *Disperse*: after the first window the chains heat up and climb again, which finds modes far from the first.
5. *Learn* after each window but the last: the metric of draws and scores of all chains (`metric`) and the length of
   trajectories. From the second on, with a dense metric and in at most 50 dimensions, also a bend, where the draws ask
   for one (`bend`), a skew, where the scores do (`skew`), and a mixture of Gaussians from which the chains of the next
   window jump (`mixture`, `jump`). Metric, skew and mixture are fitted to two windows; the bend to all but the first,
   for the early ones, which are not yet where the mass is, show how scales and means go on in narrow places. All fits
   are in float64, whatever the chains are in.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.coordinates import bend, metric, skew
from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.coordinates.preconditioning import identity
from scorefleet.tasks.mcmc.coordinates.tails import TailsOfCoordinates
from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import descent, mixture, modes, rescue, tail_fit
from scorefleet.tasks.mcmc.warmup.disperse import disperse
from scorefleet.tasks.mcmc.warmup.modes import Modes
from scorefleet.tasks.mcmc.warmup.windows import LENGTH, Tuned, Window, in_precision, run_window

WINDOWS, MAX_CLIMB, START_WIDTH = (16, 32, 64, 96, 128, 128), 100, 2.0
WIDEST = 100.0  # beyond, no trajectory is long enough
MOST_DENSE = 500  # a window leaves some 2,000 rows, too few to tell more correlations
MOST_JUMPED, WORTH_A_JUMP = 50, 0.02
STARTS, CLIMB, DISPERSE, DISPERSED_CLIMB, RESCUE, FITS, FIRST_WINDOW = range(7)
AFTER_CLIMB, AFTER_DISPERSE, AFTER_WINDOW = range(3)


class Warm(NamedTuple):
    """Chains that are warm, in the coordinates of the target; what was learned and is now frozen; and what it cost."""

    state: State
    tuned: Tuned
    num_gradients: int
    modes: Modes


def cold_start(stream: Stream, num_chains: int, dim: int) -> Float[Tensor, "chain dim"]:
    """Uniform on (-2, 2), in float64."""
    return START_WIDTH * (2 * stream.at(STARTS, 0).uniform(num_chains, dim) - 1)


def widest(w: Float[Tensor, "draw chain dim"]) -> float:
    """The largest standard deviation of draws in white units: 1 on a Gaussian, more where scores made the metric
    narrower than the draws. Each half of the chains says how wide the widest direction of the other half is, for the
    widest of many equal directions is wide by chance.
    """
    halves = [(half - half.mean(0)) for half in (w[:, ::2].flatten(0, 1), w[:, 1::2].flatten(0, 1))]
    variance = 0.0
    for one, other in (halves, halves[::-1]):
        axis = one[0]
        for _ in range(20):
            axis = one.T @ (one @ axis)
            axis = axis / axis.norm().clamp(min=1e-300)
        variance += 0.5 * float((other @ axis).square().mean())
    return min(max(1.0, variance**0.5), WIDEST)


def share_of_jumps(acceptance: float, cost: float) -> float:
    """The share of transitions that are jumps, when a trajectory costs as much as `cost` of them: as many as make half
    of the evaluations, and none where hardly any are accepted. Trajectories get the other half even where nearly all
    jumps are accepted: they free a chain from a place that jumps seldom reach and so seldom leave.
    """
    return cost / (cost + 1) if acceptance >= WORTH_A_JUMP else 0.0


def learn(stream: Stream, index: int, tuned: Tuned, window: Window, seen: Float[Tensor, "draw chain dim"]) -> Tuned:
    """Coordinates, length and jumps from a window; `seen` are the draws that the bend is fitted to. In float64."""
    dim, x = window.x.shape[2], window.x.flatten(0, 1)
    is_small = index > 0 and dim <= MOST_JUMPED and not tuned.coordinates.whitening.is_diagonal
    coordinates = coordinates_of(tuned.coordinates, seen, window, index > 0, is_small)
    w = coordinates.to_white(x).view(window.x.shape)
    learned = Tuned(coordinates, window.step_size, LENGTH * widest(w))
    was_in_vain = window.jump_acceptance < WORTH_A_JUMP or (index > 1 and tuned.jumps is None)
    if not is_small or was_in_vain:
        return learned
    fitted = mixture.with_tails(mixture.fit(stream.at(FITS, index), w), mixture.TAILS, mixture.TAIL_WIDTH)
    if not mixture.is_usable(fitted):
        return learned
    return with_share(learned._replace(jumps=Jumps(fitted, 0.0)), window.jump_acceptance)


def coordinates_of(
    old: Coordinates, seen: Float[Tensor, "draw chain dim"], window: Window, has_tails: bool, is_small: bool
) -> Coordinates:
    """Without tails of coordinates, unless the density is much nearer to normal with them; each with a radial tail
    inside where the distances ask for one.
    """
    state = State(window.x.flatten(0, 1), window.score.flatten(0, 1)[:, 0], window.score.flatten(0, 1))
    tails = tail_fit.of_coordinates(state.x) if has_tails else None
    made = [straightened(old, each, seen, state, is_small) for each in ([None, tails] if tails else [None])]
    if not has_tails:
        return made[0]
    made = [tail_fit.with_radial_tail(coordinates, state) for coordinates in made]
    away = [tail_fit.divergence(coordinates.pull_state(state)) for coordinates in made]
    return made[-1] if tail_fit.is_worth(away[0], away[-1]) else made[0]


def straightened(
    old: Coordinates,
    tails: TailsOfCoordinates | None,
    seen: Float[Tensor, "draw chain dim"],
    state: State,
    is_small: bool,
) -> Coordinates:
    """Inside the tails a metric on top of a bend, and on top of a skew where scores ask for one."""
    if tails:
        seen = Coordinates(identity(seen.shape[2]), tails=tails).to_white(seen.flatten(0, 1)).view(seen.shape)
        state = tails.pull_state(state)
    bent = bend.fit(seen) if is_small else None
    is_new = any(layer is not None for layer in (bent, tails, old.bend, old.skew, old.tails))
    none = identity(seen.shape[2], state.x.dtype, old.whitening.is_diagonal)
    state = bent.pull_state(state) if bent else state
    whitening = metric.learn(none if is_new else old.whitening, state.x, state.score)
    shape = (-1, *seen.shape[1:])
    skewed = skew.fit(whitening, state.x.view(shape), state.score.view(shape)) if is_small else None
    if skewed:
        straight = skewed.pull_state(state)
        whitening = metric.learn(none, straight.x, straight.score)
    return Coordinates(whitening, bent, skewed, tails)


def with_share(tuned: Tuned, jump_acceptance: float) -> Tuned:
    """With jumps as often as their acceptance deserves; half of the gradients when it is not known yet."""
    acceptance = 0.5 if math.isnan(jump_acceptance) else jump_acceptance
    share = share_of_jumps(acceptance, tuned.length / tuned.step_size)
    return tuned._replace(jumps=tuned.jumps._replace(share=share) if tuned.jumps and share > 0 else None)


def warm_up(stream: Stream, target: Target, x: Float[Tensor, "chain dim"], metric_name: metric.Name = "auto") -> Warm:
    """Chains that start cold at `x` (see `cold_start`), warmed up together: a pure function of (stream, x). The metric
    is dense up to 500 dimensions and diagonal beyond, or as named.
    """
    dim, start = x.shape[1], metropolis.init(x, target)
    best, used = descent.descend(stream, CLIMB, start, target, MAX_CLIMB)
    state = rescue.restart(stream.at(RESCUE, AFTER_CLIMB), best.state, rescue.is_far(best.elbo, dim))
    is_diagonal = dim > MOST_DENSE if metric_name == "auto" else metric_name == "diagonal"
    whitening = metric.learn(identity(dim, torch.float64, is_diagonal), state.x.double(), state.score.double())
    tuned, used, windows = Tuned(Coordinates(whitening), dim**-0.25, LENGTH), used + 1, []
    tuned = in_precision(tuned, x.dtype)
    for i, size in enumerate(WINDOWS):
        windows.append(window := run_window(stream, FIRST_WINDOW + i, state, target, tuned, size))
        is_stuck = rescue.is_stuck(window.acceptance)
        state = rescue.restart(stream.at(RESCUE, AFTER_WINDOW + i), window.state, is_stuck)
        used += window.num_gradients
        if i + 1 < len(WINDOWS):
            rows, seen = last_two(windows), torch.cat([w.x for w in windows[i > 0 :]])
            rows = rows._replace(x=rows.x.double(), score=rows.score.double())
            learned = learn(stream, i, in_precision(tuned, torch.float64), rows, seen.double())
            tuned = in_precision(learned, x.dtype)
        if i == 0:
            state, cost = look_around(stream, state, target, tuned.coordinates)
            used += cost
    last = windows[-1]
    tuned = with_share(tuned._replace(step_size=last.step_size), last.jump_acceptance)
    w = tuned.coordinates.to_white(last.x.flatten(0, 1))
    return look_far(stream, Warm(state, tuned, used, known_modes(w, tuned.jumps)), target)


def known_modes(w: Float[Tensor, "row dim"], jumps: Jumps | None) -> Modes:
    """What chains found by themselves: what they jump from, or a Gaussian of their draws."""
    white = mixture.with_tails(mixture.white(w), mixture.TAILS, mixture.TAIL_WIDTH)
    return modes.only(jumps.mixture if jumps else white)


def look_far(stream: Stream, warm: Warm, target: Target, more: State | None = None, num_probes: int = 0) -> Warm:
    """The chains in all modes that climbs from far away find, or from `more` points, or from those of as many probes;
    and jumps between them. In float64.
    """
    dim, tuned, dtype = warm.state.x.shape[1], in_precision(warm.tuned, torch.float64), warm.state.x.dtype
    if dim > MOST_DENSE:
        return warm

    def precise(x: Float[Tensor, "row dim"]) -> tuple[Float[Tensor, " row"], Float[Tensor, "row dim"]]:
        value, score = target(x.to(dtype))
        return value.double(), score.double()

    start, known = in_precision(warm.state, torch.float64), in_precision(warm.modes, torch.float64)
    found = modes.explore(stream, start, precise, tuned.coordinates, known, more, num_probes)
    used = warm.num_gradients + found.num_gradients
    if len(found.modes.share) == len(known.share):
        return warm._replace(num_gradients=used)
    share = share_of_jumps(1.0, tuned.length / tuned.step_size)
    tuned = tuned._replace(jumps=Jumps(found.modes.mixture, share))
    return in_precision(Warm(found.state, tuned, used, found.modes), dtype)


def last_two(windows: list[Window]) -> Window:
    """The last window with the draws of the one before it, once that one's chains were near the mass."""
    rows = windows[-2:] if len(windows) > 4 else windows[-1:]
    return rows[-1]._replace(x=torch.cat([w.x for w in rows]), score=torch.cat([w.score for w in rows]))


def look_around(stream: Stream, state: State, target: Target, coordinates: Coordinates) -> tuple[State, int]:
    """The chains in the modes that they find when they are heated."""
    found, used = disperse(stream, DISPERSE, coordinates.pull_state(state), coordinates.pull(target))
    is_far = rescue.is_far(found.elbo, state.x.shape[1])
    return coordinates.push_state(rescue.restart(stream.at(RESCUE, AFTER_DISPERSE), found.state, is_far)), used
