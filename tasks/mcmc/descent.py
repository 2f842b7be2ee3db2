"""From cold starts into the bulk: a dense quasi-Newton climb of every chain at once, which keeps the best Gaussian on
its way (Pathfinder: Zhang, Carpenter, Gelman & Vehtari, JMLR 23, 2022).

The climb is BFGS on `U = -f` with Armijo's rule (Nocedal & Wright, Numerical Optimization, 2006, chapter 6). After
each step the local Gaussian `N(x + H g, H)`, H the inverse Hessian's estimate, is drawn from once; the ELBO of that
one draw z is `f(z) - ln N(z)`, and the draw of the largest is where the chain starts. A maximum is not where the
mass is, and may be infinitely high, as a funnel's; the ELBO knows.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tasks.mcmc import metropolis
from tasks.mcmc.metropolis import State, Target
from tasks.mcmc.streams import Random, Stream

ARMIJO, BACKTRACK, PATIENCE, FLAT = 1e-4, 0.25, 3, 1e-3


class Climb(NamedTuple):
    """Where each chain's climb stands: the point, the inverse Hessian of U, the length of the next trial, whether a
    first step was made, and for how many steps the climb was flat.
    """

    state: State
    inverse: Float[Tensor, "chain dim dim"]
    length: Float[Tensor, " chain"]
    is_scaled: Bool[Tensor, " chain"]
    num_flat: Tensor


class Best(NamedTuple):
    """The draw of the best local Gaussian so far, and its ELBO in nats (-inf before the first)."""

    state: State
    elbo: Float[Tensor, " chain"]


def start(state: State) -> Climb:
    """`H = I/max(1, |g|)`."""
    num_chains, dim = state.x.shape
    eye = torch.eye(dim).to(state.x).expand(num_chains, dim, dim)
    inverse = eye / state.score.norm(dim=1).clamp(min=1)[:, None, None]
    none = torch.zeros(num_chains, dtype=torch.bool, device=state.x.device)
    return Climb(state, inverse, torch.ones_like(state.value), none, none.long())


def update_inverse(
    inverse: Float[Tensor, "chain dim dim"], s: Float[Tensor, "chain dim"], y: Float[Tensor, "chain dim"]
) -> Float[Tensor, "chain dim dim"]:
    """BFGS: `(I - r s y') H (I - r y s') + r s s'` with `r = 1/s'y`, so that H y = s; kept where `s'y <= 0`."""
    curvature = (s * y).sum(1)
    is_convex = curvature > 1e-14 * s.norm(dim=1) * y.norm(dim=1)
    rho = torch.where(is_convex, 1 / curvature, 0.0)[:, None, None]
    left = torch.eye(s.shape[1]).to(s) - rho * s[:, :, None] * y[:, None, :]
    new = left @ inverse @ left.mT + rho * s[:, :, None] * s[:, None, :]
    return torch.where((is_convex & new.isfinite().all((1, 2)))[:, None, None], 0.5 * (new + new.mT), inverse)


def advance(climb: Climb, target: Target) -> tuple[Climb, Bool[Tensor, " chain"]]:
    """One trial of every chain, with one evaluation: taken where U falls enough, shortened by 4 where not."""
    state, inverse = climb.state, climb.inverse
    direction = (inverse @ state.score[:, :, None])[:, :, 0]
    x = state.x + climb.length[:, None] * direction
    trial = State(x, *target(x))
    slope = (direction * state.score).sum(1)
    is_taken = trial.value >= state.value + ARMIJO * climb.length * slope
    is_taken &= trial.score.isfinite().all(1) & trial.value.isfinite()
    s, y = trial.x - state.x, state.score - trial.score
    scale = ((s * y).sum(1) / y.square().sum(1)).clamp(min=1e-12).nan_to_num(1.0)
    eye = torch.eye(x.shape[1]).to(x)
    rescaled = torch.where((~climb.is_scaled)[:, None, None], scale[:, None, None] * eye, inverse)
    updated = update_inverse(rescaled, s, y)
    num_flat = torch.where(slope <= FLAT * x.shape[1], climb.num_flat + 1, 0)
    return Climb(
        choose(is_taken, trial, state),
        torch.where(is_taken[:, None, None], updated, inverse),
        torch.where(is_taken, 1.0, BACKTRACK * climb.length),
        climb.is_scaled | is_taken,
        torch.where(is_taken, num_flat, climb.num_flat),
    ), is_taken


def choose(condition: Bool[Tensor, " chain"], yes: State, no: State) -> State:
    """The state of `yes` for the chains of the condition, of `no` for the others."""
    return State(*(torch.where(condition.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(yes, no, strict=True)))


def local_draw(random: Random, climb: Climb, target: Target) -> Best:
    """One draw z of each chain's `N(x + H g, H)` and its ELBO, -inf where H is not positive definite or z has no
    finite density.
    """
    noise = random.normal(*climb.state.x.shape).to(climb.state.x)
    factor, failed = torch.linalg.cholesky_ex(climb.inverse)
    step = climb.inverse @ climb.state.score[:, :, None] + factor @ noise[:, :, None]
    state = metropolis.init(climb.state.x + step[:, :, 0], target)
    log_q = -0.5 * noise.square().sum(1) - factor.diagonal(dim1=1, dim2=2).log().sum(1)
    elbo = state.value - log_q + 0.5 * noise.shape[1] * math.log(2 * math.pi)
    is_usable = (failed == 0) & elbo.isfinite() & state.score.isfinite().all(1)
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
