"""The kernels that a user can choose by name, each with the acceptance rate its step size is tuned to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from tasks.mcmc import gibbs, hmc, langevin, lecture_mala, mala, random_walk
from tasks.mcmc.metropolis import Info, State, Target
from tasks.mcmc.streams import Random

KernelName = Literal["hmc", "mala", "lecture_mala", "random_walk", "gibbs", "langevin"]
Step = Callable[[Random, State, Target, float | Tensor], tuple[State, Info]]


@dataclass(frozen=True)
class Kernel:
    """`step` draws, accepts or refuses; `target_acceptance` is where it moves fastest."""

    step: Step
    target_acceptance: float
    is_exact: bool = True


KERNELS: dict[KernelName, Kernel] = {
    "hmc": Kernel(hmc.step, 0.75),
    "mala": Kernel(mala.step, 0.574),
    "lecture_mala": Kernel(lecture_mala.step, 0.234),
    "random_walk": Kernel(random_walk.step, 0.234),
    "gibbs": Kernel(gibbs.step, 0.44),
    "langevin": Kernel(langevin.step, 0.95, is_exact=False),
}
