"""Modes that no chain of a warm-up visited: looked for by climbs from far away, weighed, and joined to what chains jump
from, so that draws hold each with its share.

1. *Climb* from points scattered over scales up to 100 times the metric, and from others that stand out (`probes`).
2. *Compare* the log density f where a climb ends with that of the mixture q of all that is known: at a known mode
   `f - ln q` is about `ln Z`, and at a new one more.
3. *Weigh* a new one by the Gaussian at its maximum (`laplace`): importance weights give its part of Z.
4. *Warm up* chains there with a metric of their own, and fit a mixture to their draws (`local`; proposals of each mode
   as by Pompe, Holmes & Latuszynski, Annals of Statistics 48, 2020).
5. *Settle*: the warm-up's chains jump from the mixture of all, which brings them to every mode.

Draws do not depend on whether any of this is right: a jump passes its Metropolis test whatever was found.
"""

import dataclasses
import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.kernels import jump, metropolis
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import descent, laplace, local, probes
from scorefleet.tasks.mcmc.warmup.local import Place
from scorefleet.tasks.mcmc.warmup.mixture import Mixture

NEAREST, FARTHEST, MOST_CLIMB, WIDEST_PROBE = 2.0, 100.0, 20, 16.0
NUM_CLIMBS = (64, 256, 256)
"""In each round: few where all density may be in one mode, more once there are others."""
STANDS_OUT, LEAST_SHARE, LEAST_WEIGHT, MOST_TRIES = 3.0, 1e-3, 0.02, 8
NUM_WEIGHED, NUM_SETTLING, ROWS = 256, 48, 64
CLIMBS, PROBES, WEIGH, SETTLE = range(4)


class Modes(NamedTuple):
    """`mixture` in white coordinates of all that is known; `mode` is that of each component, 0 for what the chains
    found by themselves, and `share` each mode's part of Z.
    """

    mixture: Mixture
    mode: Int[Tensor, " component"]
    share: Float[Tensor, " mode"]

    def of(self, w: Float[Tensor, "row dim"]) -> Int[Tensor, " row"]:
        """The mode that each point in white coordinates belongs to."""
        joint = self.mixture.log_joint(w)
        return torch.stack([joint[self.mode == k].logsumexp(0) for k in range(len(self.share))]).argmax(0)

    def parts(self) -> list[Mixture]:
        """The mixture of each mode by itself."""
        chosen = [Mixture(*(tensor[self.mode == k] for tensor in self.mixture)) for k in range(len(self.share))]
        return [part._replace(log_weight=part.log_weight.log_softmax(0)) for part in chosen]


class Explored(NamedTuple):
    """All modes, the chains, settled in them where some are new, and the evaluations made."""

    modes: Modes
    state: State
    num_gradients: int


def only(known: Mixture) -> Modes:
    """One mode: what the chains found."""
    return Modes(known, torch.zeros_like(known.log_weight, dtype=torch.int64), known.log_weight.new_ones(1))


def explore(
    stream: Stream,
    state: State,
    target: Target,
    coordinates: Coordinates,
    known: Modes,
    more: State | None = None,
    num_probes: int = 0,
) -> Explored:
    """Look for modes that are not `known` until there are no new ones; `state`, warm chains, and `more` points to climb
    from are in the coordinates of the target. A pure function of (stream, state, more).
    """
    used, affine = 0, local.affine_of(coordinates, state.x)
    for k, num_climbs in enumerate(NUM_CLIMBS):
        purpose = f"{stream.purpose}/modes/{k}"
        place = Place(dataclasses.replace(stream, purpose=purpose), target, coordinates, affine, state)
        new, cost = search(place, known, num_climbs, more, num_probes if k == 0 else 0)
        used += cost
        if not new:
            break
        known = joined(place, [*known.parts(), *new])
        state, cost = settle(place, known)
        used += cost
    return Explored(known, state, used)


def search(
    place: Place, known: Modes, num_climbs: int, more: State | None, num_probes: int
) -> tuple[list[Mixture], int]:
    """A mixture for each new mode that holds a part of Z worth it, in white coordinates, and the evaluations."""
    ends, widths, used = climb(place, num_climbs, more, num_probes)
    warm, white, new = place.white(place.state), place.white(ends), list[Mixture]()
    log_z = float((warm.value - known.mixture.log_density(warm.x)).median())
    held = [(log_z, known.mixture)]
    excess = white.value - log_mixture(held, white.x)
    for k in range(MOST_TRIES if len(excess) else 0):
        excess = excess.nan_to_num(-torch.inf, -torch.inf)
        best = int(excess.argmax())
        if not float(excess[best]) > STANDS_OUT:
            break
        found, cost = local.weigh(place, k, ends.x[best], widths[best])
        used, excess[best] = used + cost, -torch.inf
        if found is None or not local.height(place, found, log_mixture(held, found.white.mean)) > STANDS_OUT:
            continue  # no maximum, or that of a mode that is known
        held.append((found.log_mass, found.white))
        excess = excess.minimum(white.value - log_mixture(held, white.x))
        if found.log_mass - log_z > math.log(LEAST_SHARE):
            part, cost = local.warm_up(place, k, found)
            new, used = [*new, part], used + cost
    return new, used


def log_mixture(held: list[tuple[float, Mixture]], w: Float[Tensor, "row dim"]) -> Float[Tensor, " row"]:
    """`ln` of the sum of mixtures, each of a mass whose logarithm is given."""
    return torch.stack([log_mass + part.log_density(w) for log_mass, part in held]).logsumexp(0)


def climb(
    place: Place, num_climbs: int, more: State | None, num_probes: int
) -> tuple[State, Float[Tensor, "row dim"], int]:
    """Where climbs end, in the coordinates of the target; the widths of the density there as far as they know, in those
    of `place.affine`; and the evaluations a chain.
    """
    affine, target = place.affine, place.affine.pull(place.target)
    far = probes.scattered(place.stream.at(CLIMBS, 0), num_climbs, place.state.x.shape[1], NEAREST, FARTHEST)
    start, used = metropolis.init(far, target), (num_climbs + num_probes) // ROWS
    if num_probes or more:
        pool = affine.pull_state(more) if more else start
        pool = probes.probe(place.stream, PROBES, target, pool, num_probes, 1.0, WIDEST_PROBE)
        start = State(*(torch.cat(parts) for parts in zip(start, pool, strict=True)))
    is_finite = start.value.isfinite() & start.score.isfinite().all(1)
    climbing = descent.start(State(*(part[is_finite] for part in start)))
    for _ in range(MOST_CLIMB if is_finite.any() else 0):
        climbing, _ = descent.advance(climbing, target)
        used += -(-len(climbing.length) // ROWS)
    return affine.push_state(climbing.state), climbing.inverse.widths(), used


def joined(place: Place, parts: list[Mixture]) -> Modes:
    """Modes of one mixture each with their parts of Z, by importance weights of as many draws from each (the balance
    heuristic: Veach & Guibas, SIGGRAPH 1995). Those that turn out to hold nearly nothing are left out, but the first.
    """
    x = torch.cat([part.draw(place.stream.at(WEIGH, k), NUM_WEIGHED) for k, part in enumerate(parts)])
    value, _ = place.coordinates.pull(place.target)(x)
    each = torch.stack([part.log_density(x) for part in parts])
    log_weight = laplace.cut(value, each.logsumexp(0))
    share = (log_weight + each.log_softmax(0)).logsumexp(1).softmax(0)
    kept = [k for k in range(len(parts)) if k == 0 or share[k] > LEAST_SHARE]
    share = share[kept] / share[kept].sum()
    log_weight = share.clamp(min=LEAST_WEIGHT).log().log_softmax(0)
    parts = [parts[k]._replace(log_weight=parts[k].log_weight + log_weight[i]) for i, k in enumerate(kept)]
    mode = torch.cat([torch.full((len(part.mean),), i) for i, part in enumerate(parts)])
    return Modes(Mixture(*(torch.cat(tensors) for tensors in zip(*parts, strict=True))), mode, share)


def settle(place: Place, modes: Modes) -> tuple[State, int]:
    """The chains after so many jumps, and the evaluations."""
    target, state = place.coordinates.pull(place.target), place.white(place.state)
    for k in range(NUM_SETTLING):
        state, _ = jump.step(place.stream.at(SETTLE, k), state, target, modes.mixture)
    return place.coordinates.push_state(state), NUM_SETTLING
