"""Tells proposals whose density overflowed far outside the mass from those whose density is undefined inside it.

A trajectory that overshoots meets `exp` of 800 or `inf - inf`. Rejecting it is exact, for nothing lies there. A density
that is NaN where its mass is loses a part of the distribution by every rejection. What tells the two apart is how the
density gets there: on the way to an overflow it has fallen by `FELL + dim` nats or more, while a flat direction
stays level, and an undeclared edge of the domain or a NaN inside it comes without such a fall. (In d dimensions a
Gaussian has less than `exp -FELL` of its mass where it is `FELL + d` nats below its own typical value.) It says nothing
of mass elsewhere: the sides of a neck without end fall as steeply, so the verdict does not trust overflows either.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target

FELL, MOST_LOOKS = 40.0, 50


class Lost(NamedTuple):
    """Proposals that were no numbers: with an undefined density inside the mass, and with an overflow outside it."""

    num_nonfinite: int
    num_overflowed: int


class Recorder:
    """A target that records each chain's last point before its density is first no number, its density, and that
    point."""

    def __init__(self, state: State, target: Target):
        self.target = target
        self.inside, self.value, self.outside = state.x, state.value, state.x
        self.is_out = torch.zeros_like(state.value, dtype=torch.bool)

    def __call__(self, x: Float[Tensor, "chain dim"]) -> tuple[Float[Tensor, " chain"], Float[Tensor, "chain dim"]]:
        """The target's own answer."""
        value, score = self.target(x)
        is_bad = (value != -torch.inf) & ~(value.isfinite() & score.isfinite().all(1))
        self.outside = torch.where((is_bad & ~self.is_out)[:, None], x, self.outside)
        self.is_out |= is_bad
        self.inside = torch.where(self.is_out[:, None], self.inside, x)
        self.value = torch.where(self.is_out, self.value, value)
        return value, score


def sort_out(info: Info, state: State, target: Target, again: Callable[[Target], Any]) -> Lost:
    """Count the proposals of a transition from `state` that were no numbers. `again(target)` repeats the transition;
    it is called only where there are any.
    """
    if bool(info.is_finite.all()):
        return Lost(0, 0)
    recorder = Recorder(state, target)
    again(recorder)
    is_lost, is_overflow = ~info.is_finite, has_fallen(recorder, state.value)
    return Lost(int((is_lost & ~is_overflow).sum()), int((is_lost & is_overflow).sum()))


def has_fallen(recorder: Recorder, start: Float[Tensor, " chain"]) -> Bool[Tensor, " chain"]:
    """Whether the density of each chain had fallen by `FELL + dim` nats before it was no number: at the last point of a
    trajectory that had one, or further on, at 1/2, 1/4, ... of the way to the first that had none. True where no
    density was undefined at a point: the point itself, or the momentum, was beyond all numbers.
    """
    value, is_open = recorder.value, recorder.is_out & recorder.outside.isfinite().all(1)
    is_overflow = ~is_open
    for k in range(1, MOST_LOOKS + 1):
        if not bool(is_open.any()):
            break
        looked, _ = recorder.target(torch.lerp(recorder.inside, recorder.outside, 2.0**-k))
        is_density = looked.isfinite() | (looked == -torch.inf)
        value = torch.where(is_open & is_density, looked, value)
        is_open &= ~is_density
    return is_overflow | (value < start - FELL - recorder.inside.shape[1])
