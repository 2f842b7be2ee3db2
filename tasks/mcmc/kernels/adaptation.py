"""Tuning of step sizes before the first kept draw."""

import math


class StepSize:
    """Robbins-Monro on log eta: `ln eta += gain_k (mean acceptance - target)`, `gain_k = 4/(k+2)`.

    Acceptance falls by about .3 for a unit of ln eta near .574, so a gain below 6 is stable and the error after k
    steps is that of the mean of k measurements. Use: `step_size` to step with, `update` with the acceptance that
    came of it.
    """

    def __init__(self, step_size: float, target_acceptance: float):
        self.step_size = step_size
        self.target_acceptance = target_acceptance
        self._num_updates = 0

    def update(self, acceptance: float) -> None:
        """Move towards the target after a step whose mean acceptance over all chains was `acceptance`."""
        gain = 4.0 / (self._num_updates + 2)
        self.step_size *= math.exp(gain * (acceptance - self.target_acceptance))
        self._num_updates += 1
