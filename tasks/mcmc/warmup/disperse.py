"""Other modes are looked for in the heat: every chain moves for a while at a temperature of its own, and climbs from
where it is then (basin hopping: Wales & Doye, J. Phys. Chem. A 101, 1997).

A warm-up's means only, for it keeps no law: it says which modes there are, and chains that jump between them later say
how much each weighs.
"""

import torch

from scorefleet.tasks.mcmc.kernels import hmc
from scorefleet.tasks.mcmc.kernels.metropolis import State, Target
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import descent
from scorefleet.tasks.mcmc.warmup.descent import Best

HOTTEST, NUM_TRAJECTORIES, NUM_LEAPFROGS, STEP, MOST_CLIMB = 50.0, 6, 8, 0.5, 40


def disperse(stream: Stream, phase: int, state: State, target: Target) -> tuple[Best, int]:
    """The best draw of each chain's climb from where it was carried at temperatures from 1 to 50, and the evaluations
    made. The target must be nearly white.
    """
    temperature = torch.logspace(0, 1, len(state.x), HOTTEST).to(state.x)

    def hot(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        value, score = target(x)
        return value / temperature, score / temperature[:, None]

    size = STEP * state.x.shape[1] ** -0.25 * temperature[:, None].sqrt()
    warm = State(state.x, state.value / temperature, state.score / temperature[:, None])
    for k in range(NUM_TRAJECTORIES):
        factor = 0.5 + stream.at(phase, 2 * k).uniform(len(state.x), 1).to(state.x)
        warm, _ = hmc.step(stream.at(phase, 2 * k + 1), warm, hot, size * factor, NUM_LEAPFROGS)
    start = State(warm.x, warm.value * temperature, warm.score * temperature[:, None])
    best, used = descent.descend(stream, phase + 1, start, target, MOST_CLIMB)
    return best, used + NUM_TRAJECTORIES * NUM_LEAPFROGS
