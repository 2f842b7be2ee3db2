"""Changes of coordinates that make polynomial tails Gaussian ones: of each coordinate by itself, and of the distance
from the centre.

Chains that move by gradients do not leave the bulk for a polynomial tail often enough, whatever their step size: they
are not geometrically ergodic there. In coordinates in which `|x|` grows like `exp(h s^2/2)` they are, for a density
`|x|^-(n+1)` has a Gaussian tail of variance `1/(n h)` in s (Johnson & Geyer, Annals of Statistics 40, 2012). With

    g(s) = s exp a(s),    a(s) = h (sqrt(c^2 + s^2) - c)^2/2,

`TailsOfCoordinates` is `x_i = centre_i + scale_i g(y_i)` with c = 0, Tukey's h, and an h of its own on either side
(Goerg, "The Lambert way to Gaussianize heavy-tailed data", The Scientific World Journal, 2015). `RadialTail` is
`u = w g(|w|)/|w|`, about the centre of a whitening, for tails that all directions share; the knee c lets the stretch
begin where the bulk ends, which in d dimensions is near sqrt(d).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import State, Target

NUM_NEWTON, SMALLEST = 30, 1e-12


def invert(r: Tensor, heaviness: Tensor, knee: Tensor) -> Tensor:
    """The s of `g(s) = r`, by Newton's method in ln s, in which `ln g` is convex and increasing: from a start on the
    right it comes down to the root."""
    log_r = r.clamp(min=1e-300).log()
    far = ((2 * log_r.clamp(min=0) / heaviness.clamp(min=SMALLEST)).sqrt() + knee).square() - knee.square()
    log_s = torch.minimum(log_r, 0.5 * far.clamp(min=1).log())
    for _ in range(NUM_NEWTON):
        s = log_s.exp()
        q = (knee.square() + s.square()).sqrt().clamp(min=SMALLEST)
        a, slope = 0.5 * heaviness * (q - knee).square(), heaviness * (q - knee) / q
        log_s = log_s - (log_s + a - log_r) / (1 + slope * s.square())
    return torch.where(r > 0, log_s.exp(), 0.0)


class TailsOfCoordinates(NamedTuple):
    """`x_i = centre_i + scale_i y_i exp(h_i y_i^2/2)`; `heaviness` is the h below and above the centre."""

    centre: Float[Tensor, " dim"]
    scale: Float[Tensor, " dim"]
    heaviness: Float[Tensor, "side dim"]

    @property
    def log_volume(self) -> float:
        """What the log density of y lacks."""
        return float(self.scale.log().sum())

    def pull(self, target: Target) -> Target:
        """The target as a density of y, up to the constant of the scales."""

        def pulled(y: Tensor) -> tuple[Tensor, Tensor]:
            log_slope, h = self._log_slope(y)
            value, score = target(self._from_light(y, h))
            return value + log_slope.sum(1), self._pull_score(y, score)

        return pulled

    def pull_state(self, state: State) -> State:
        """The same chains in y, without an evaluation of the target."""
        away = (state.x - self.centre) / self.scale
        y = away.sign() * invert(away.abs(), self._side(away), torch.zeros_like(away))
        return State(y, state.value + self._log_slope(y)[0].sum(1), self._pull_score(y, state.score))

    def push_state(self, state: State) -> State:
        """The same chains in x, without an evaluation of the target."""
        y, (log_slope, h) = state.x, self._log_slope(state.x)
        score = (state.score - self._bent(y, h)) / (self.scale * log_slope.exp())
        return State(self._from_light(y, h), state.value - log_slope.sum(1), score)

    def _side(self, y: Tensor) -> Tensor:
        """The h of each number."""
        return torch.where(y < 0, self.heaviness[0], self.heaviness[1])

    def _from_light(self, y: Tensor, h: Tensor) -> Tensor:
        return self.centre + self.scale * y * (0.5 * h * y.square()).exp()

    def _log_slope(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """`ln dx_i/dy_i` without the scale, and the h of each number."""
        h = self._side(y)
        return 0.5 * h * y.square() + (h * y.square()).log1p(), h

    def _bent(self, y: Tensor, h: Tensor) -> Tensor:
        """The slope of `ln dx_i/dy_i`."""
        return h * y * (1 + 2 / (1 + h * y.square()))

    def _pull_score(self, y: Tensor, score: Tensor) -> Tensor:
        log_slope, h = self._log_slope(y)
        return self.scale * log_slope.exp() * score + self._bent(y, h)


class RadialTail(NamedTuple):
    """`u = w exp a(|w|)`; both numbers are tensors without a dimension."""

    heaviness: Float[Tensor, ""]
    knee: Float[Tensor, ""]

    @property
    def log_volume(self) -> float:
        """Nothing: there is no affine part."""
        return 0.0

    def pull(self, target: Target) -> Target:
        """The target as a density of w."""

        def pulled(w: Tensor) -> tuple[Tensor, Tensor]:
            a, _, _, log_det = self._terms(w)
            value, score = target(w * a.exp())
            return value + log_det[:, 0], self._pull_score(w, score)

        return pulled

    def pull_state(self, state: State) -> State:
        """The same chains in w, without an evaluation of the target."""
        r = state.x.norm(dim=1, keepdim=True)
        w = state.x * (invert(r, self.heaviness, self.knee) / r.clamp(min=1e-300))
        return State(w, state.value + self._terms(w)[3][:, 0], self._pull_score(w, state.score))

    def push_state(self, state: State) -> State:
        """The same chains in u, without an evaluation of the target; `J' = e^a (I + b w w')`."""
        w, (a, b, bent, log_det) = state.x, self._terms(state.x)
        v = state.score - w * bent
        along = b * (w * v).sum(1, keepdim=True) / (1 + b * w.square().sum(1, keepdim=True))
        return State(w * a.exp(), state.value - log_det[:, 0], (v - along * w) / a.exp())

    def _terms(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """a, `b = a'/s`, the slope of `ln |du/dw|` over s, and `ln |du/dw| = d a + ln(1 + s a')`; one column each."""
        squared, h, c = w.square().sum(1, keepdim=True), self.heaviness, self.knee
        q = (c.square() + squared).sqrt().clamp(min=SMALLEST)
        a, b = 0.5 * h * (q - c).square(), h * (q - c) / q
        second = h * (squared + (q - c) / q * c.square()) / q.square()
        bent = w.shape[1] * b + (b + second) / (1 + b * squared)
        return a, b, bent, w.shape[1] * a + (b * squared).log1p()

    def _pull_score(self, w: Tensor, score: Tensor) -> Tensor:
        a, b, bent, _ = self._terms(w)
        return a.exp() * (score + b * w * (w * score).sum(1, keepdim=True)) + w * bent
