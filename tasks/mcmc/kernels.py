"""The kernels that a user can choose by name, and the step size of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from tasks.mcmc import gibbs, keep, langevin, lecture_mala, mala, random_walk
from tasks.mcmc.adaptation import StepSize
from tasks.mcmc.jump import Jumps
from tasks.mcmc.metropolis import Info, State, Target, acceptance_probability
from tasks.mcmc.streams import Random, Stream

KernelName = Literal["hmc", "mala", "lecture_mala", "random_walk", "gibbs", "langevin"]
Step = Callable[[Random, State, Target, float], tuple[State, Info]]
Transition = Callable[[Stream, int, int, State, Target, float, float], tuple[State, Info, int]]
"""(stream, phase, index, state, target, step size, length of a trajectory) -> (state, info, evaluations of the target).

Only HMC has trajectories; the others move one step, whatever the length.
"""

TUNING_STEPS = 200


@dataclass(frozen=True)
class Kernel:
    """How chains move; `target_acceptance` is where they move fastest in many dimensions."""

    transition: Transition
    target_acceptance: float
    is_exact: bool = True


def single(step: Step) -> Transition:
    """The transition that is one step of a kernel, with one evaluation of the target."""

    def transition(
        stream: Stream, phase: int, index: int, state: State, target: Target, step_size: float, length: float
    ) -> tuple[State, Info, int]:
        return *step(stream.at(phase, index), state, target, step_size), 1

    return transition


KERNELS: dict[KernelName, Kernel] = {
    "hmc": Kernel(keep.transition, 0.75),
    "mala": Kernel(single(mala.step), 0.574),
    "lecture_mala": Kernel(single(lecture_mala.step), 0.234),
    "random_walk": Kernel(single(random_walk.step), 0.234),
    "gibbs": Kernel(single(gibbs.step), 0.44),
    "langevin": Kernel(single(langevin.step), 0.95, is_exact=False),
}


def transition_of(name: KernelName, jumps: Jumps | None) -> Transition:
    """The transition of a kernel, some of HMC's being jumps."""
    return partial(keep.transition, jumps=jumps) if name == "hmc" else KERNELS[name].transition


def tune(
    stream: Stream, phase: int, state: State, target: Target, kernel: Kernel, length: float
) -> tuple[State, float]:
    """A step size at which the chains, which must be warm, accept as often as is best; and where they are then."""
    tuned = StepSize(state.x.shape[1] ** (-1 / 3), kernel.target_acceptance)
    for index in range(TUNING_STEPS):
        state, info, _ = kernel.transition(stream, phase, index, state, target, tuned.step_size, length)
        tuned.update(float(acceptance_probability(info).mean()))
    return state, tuned.step_size
