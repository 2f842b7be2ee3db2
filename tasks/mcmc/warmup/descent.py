"""From cold starts into the bulk: a quasi-Newton climb of every chain at once, which keeps the best Gaussian on
its way (Pathfinder: Zhang, Carpenter, Gelman & Vehtari, JMLR 23, 2022).

The climb is BFGS on `U = -f` with Armijo's rule (Nocedal & Wright, Numerical Optimization, 2006, chapter 6), beyond 100
dimensions with limited memory. After
each step the local Gaussian `N(x + H g, H)`, H the inverse Hessian's estimate, is drawn from once; the ELBO of that
one draw z is `f(z) - ln N(z)`, and the draw of the largest is where the chain starts. A maximum is not where the
mass is, and may be infinitely high, as a funnel's; the ELBO knows.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target, choose
from scorefleet.tasks.mcmc.streams import Random, Stream
from scorefleet.tasks.mcmc.warmup import dense, limited
from scorefleet.tasks.mcmc.warmup.dense import Dense
from scorefleet.tasks.mcmc.warmup.limited import Limited

ARMIJO, BACKTRACK, PATIENCE, FLAT = 1e-4, 0.25, 3, 1e-3
MOST_DENSE = 100  # where 64 matrices of float64 take 5 MB, and one product with each is still cheap


class Climb(NamedTuple):
    """Where each chain's climb stands: the point, the inverse Hessian of U, the length of the next trial, and for
    how many steps the climb was flat.
    """

    state: State
    inverse: Dense | Limited
    length: Float[Tensor, " chain"]
    num_flat: Tensor


class Best(NamedTuple):
    """The draw of the best local Gaussian so far, and its ELBO in nats (-inf before the first)."""

    state: State
    elbo: Float[Tensor, " chain"]


def start(state: State) -> Climb:
    """`H = I/max(1, |g|)`."""
    held = dense if state.x.shape[1] <= MOST_DENSE else limited
    none = torch.zeros(len(state.x), dtype=torch.int64, device=state.x.device)
    return Climb(state, held.start(state.score), torch.ones_like(state.value), none)


def advance(climb: Climb, target: Target) -> tuple[Climb, Bool[Tensor, " chain"]]:
    """One trial of every chain, with one evaluation: taken where U falls enough, shortened by 4 where not."""
    state, inverse = climb.state, climb.inverse
    direction = inverse.direction(state.score)
    x = state.x + climb.length[:, None] * direction
    trial = State(x, *target(x))
    slope = (direction * state.score).sum(1)
    is_taken = trial.value >= state.value + ARMIJO * climb.length * slope
    is_taken &= trial.score.isfinite().all(1) & trial.value.isfinite()
    num_flat = torch.where(slope <= FLAT * x.shape[1], climb.num_flat + 1, 0)
    return Climb(
        choose(is_taken, trial, state),
        inverse.updated(trial.x - state.x, state.score - trial.score, is_taken),
        torch.where(is_taken, 1.0, BACKTRACK * climb.length),
        torch.where(is_taken, num_flat, climb.num_flat),
    ), is_taken


def local_draw(random: Random, climb: Climb, target: Target) -> Best:
    """One draw z of each chain's `N(x + H g, H)` and its ELBO, -inf where H is not positive definite or z has no
    finite density.
    """
    noise = random.normal(*climb.state.x.shape).to(climb.state.x)
    drawn, half_log_det, is_definite = climb.inverse.colour(noise)
    state = metropolis.init(climb.state.x + climb.inverse.direction(climb.state.score) + drawn, target)
    log_q = -0.5 * noise.square().sum(1) - half_log_det
    elbo = state.value - log_q + 0.5 * noise.shape[1] * math.log(2 * math.pi)
    is_usable = is_definite & elbo.isfinite() & state.score.isfinite().all(1)
    return Best(state, torch.where(is_usable, elbo, -torch.inf))


def descend(stream: Stream, phase: int, state: State, target: Target, max_gradients: int) -> tuple[Best, int]:
    """Climb from `state` with at most `max_gradients` evaluations for trials and as many for draws; the best draw of
    each chain, its ELBO, and the evaluations made. A chain without any keeps its starting point.
    """
    climb, num_evaluated = start(state), 0
    best = Best(state, torch.full_like(state.value, -torch.inf))
    for k in range(max_gradients):
        climb, is_taken = advance(climb, target)
        drawn = local_draw(stream.at(phase, k), climb, target)
        num_evaluated += 2
        is_better = is_taken & (drawn.elbo > best.elbo)
        best = Best(choose(is_better, drawn.state, best.state), torch.where(is_better, drawn.elbo, best.elbo))
        if bool(((climb.num_flat >= PATIENCE) | (climb.length < 1e-12)).all()):
            break
    return best, num_evaluated
