"""The kernels that a user can choose by name, and the step size of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

from scorefleet.tasks.mcmc import keep
from scorefleet.tasks.mcmc.kernels import gibbs, langevin, lecture_mala, line_integral, mala, random_walk
from scorefleet.tasks.mcmc.kernels.adaptation import StepSize
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.kernels.line_integral import GAUSS_LEGENDRE_3, SIMPSON, Rule
from scorefleet.tasks.mcmc.kernels.metropolis import Info, State, Target, acceptance_probability
from scorefleet.tasks.mcmc.streams import Random, Stream

ScoreKernelName = Literal["line_integral_simpson", "line_integral_gauss_legendre", "score_langevin"]
KernelName = Literal["hmc", "mala", "lecture_mala", "random_walk", "gibbs", "langevin", ScoreKernelName]
Step = Callable[[Random, State, Target, float], tuple[State, Info]]
Transition = Callable[[Stream, int, int, State, Target, float, float], tuple[State, Info, int]]
"""(stream, phase, index, state, target, step size, length of a trajectory) -> (state, info, evaluations of the target).

Only HMC has trajectories; the others move one step, whatever the length.
"""

TUNING_STEPS = 200


@dataclass(frozen=True)
class Kernel:
    """How chains move; `target_acceptance` is where they move fastest in many dimensions.

    There the step size goes like `d^exponent`; it is in data units to the `power`. `flaw` says why draws are not exact.
    One that `needs_value` refuses every step of a score-only model.
    """

    title: str
    transition: Transition
    target_acceptance: float
    exponent: float = -1 / 3
    power: int = 2
    flaw: str = ""
    needs_value: bool = True

    @property
    def is_exact(self) -> bool:
        """Whether its steps leave the target invariant."""
        return not self.flaw


def single(step: Step, evaluations: int = 1) -> Transition:
    """The transition that is one step of a kernel, with so many evaluations of the target."""

    def transition(
        stream: Stream, phase: int, index: int, state: State, target: Target, step_size: float, length: float
    ) -> tuple[State, Info, int]:
        return *step(stream.at(phase, index), state, target, step_size), evaluations

    return transition


def by_line_integral(rule: Rule, rule_name: str) -> Kernel:
    """Langevin steps for a score without a value: one evaluation a node of the rule beside that of the proposal."""
    return Kernel(
        f"Langevin with a line-integral test ({rule_name})",
        single(partial(line_integral.step, rule=rule), 1 + len(rule.nodes)),
        0.574,
        flaw=f"takes line integrals of a score ({rule_name}) for log ratios of densities",
        needs_value=False,
    )


NO_TEST = "takes every step, without a Metropolis test"

KERNELS: dict[KernelName, Kernel] = {
    "hmc": Kernel("Hamiltonian Monte Carlo", partial(keep.transition, frequency=0.0), 0.8, exponent=-1 / 4, power=1),
    "mala": Kernel("Metropolis-adjusted Langevin", single(mala.step), 0.574),
    "lecture_mala": Kernel("Metropolis-adjusted Langevin (lecture's form)", single(lecture_mala.step), 0.234, -1.0),
    "random_walk": Kernel("random-walk Metropolis", single(random_walk.step), 0.234, -1.0),
    "gibbs": Kernel("Metropolis-within-Gibbs", single(gibbs.step), 0.44, 0.0),
    "langevin": Kernel("unadjusted Langevin", single(langevin.step), 0.95, flaw=NO_TEST),
    "line_integral_simpson": by_line_integral(SIMPSON, "Simpson's rule"),
    "line_integral_gauss_legendre": by_line_integral(GAUSS_LEGENDRE_3, "Gauss-Legendre rule of three nodes"),
    "score_langevin": Kernel(
        "unadjusted Langevin by scores", single(line_integral.unadjusted), 0.95, flaw=NO_TEST, needs_value=False
    ),
}


class Move(NamedTuple):
    """A kernel by its name, with a frozen step size and mean length of a trajectory."""

    kernel: KernelName
    step_size: float
    length: float = 1.0

    def __call__(self, stream: Stream, phase: int, index: int, state: State, target: Target) -> tuple[State, Info, int]:
        """Transition `index` of a phase, and the evaluations of the target it took."""
        transition = KERNELS[self.kernel].transition
        return transition(stream, phase, index, state, target, self.step_size, self.length)


def transition_of(name: KernelName, jumps: Jumps | None) -> Transition:
    """The transition of a kernel in white coordinates: HMC's is made for them, and some of its are jumps."""
    return partial(keep.transition, jumps=jumps) if name == "hmc" else KERNELS[name].transition


def tune(
    stream: Stream, phase: int, state: State, target: Target, name: KernelName, length: float
) -> tuple[State, float]:
    """A step size at which the chains, which must be warm and in white coordinates, accept as often as is best; and
    where they are then.
    """
    kernel, transition = KERNELS[name], transition_of(name, None)
    tuned = StepSize(state.x.shape[1] ** kernel.exponent, kernel.target_acceptance)
    for index in range(TUNING_STEPS):
        state, info, _ = transition(stream, phase, index, state, target, tuned.step_size, length)
        tuned.update(float(acceptance_probability(info).mean()))
        tuned.step_size = min(tuned.step_size, keep.LARGEST_STEP)
    return state, tuned.step_size
