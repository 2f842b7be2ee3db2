"""How chains sample a learned density, and how its log Z is found."""

from dataclasses import dataclass

from scorefleet.tasks.config.allowed import LARGEST_BLOCK, LARGEST_COUNT, LARGEST_DRAWS, LadderKernel, require


@dataclass(frozen=True)
class Sample:
    """Run a fleet of Langevin and Metropolis-Hastings chains against the energy."""

    kernel: LadderKernel | None = None
    """How chains move at a noise level, mala when not given; langevin has no Metropolis test, and its draws are marked
    as not exact. Score-only models have the last three (line_integral_simpson when not given), none of them exact."""
    num_chains: int = 1024
    """Independent chains."""
    num_draws: int = 1
    """Draws that each chain keeps at the lowest noise level."""
    thinning: int = 10
    """Steps between two kept draws of a chain."""
    block_size: int = 256
    """Chains that advance together; part of the run's identity, since it fixes the random streams."""
    num_levels: int = 24
    """Noise levels of the ladder."""
    steps_per_level: int = 5
    """Steps of the kernel at each level."""
    exchange_rounds: int = 0
    """Rounds of replica exchange after the way down: in each a chain takes one step at every one of a few levels, and
    replicas at neighbouring levels swap; 0 for none. They go on between the draws of a chain, `thinning` before each.
    """
    target_acceptance: float | None = None
    """Acceptance rate that the step size of each level is tuned to before the first kept draw; the kernel's own when
    not given: .574 for mala, .75 for hmc, .44 for gibbs, .234 for lecture_mala and random_walk, and .95 for langevin,
    of which it is the rate at which a Metropolis test would accept."""
    temperature: float = 1.0
    """Chains sample the density to the power 1/temperature; above 1 they spread wider, which mends an energy that is
    surer of the rows it learned from than of others."""
    lowest_noise: float | None = None
    """Noise of the lowest level, where draws are kept, in standard deviations of the data; when not given 0.1 for
    whole numbers, which are spread wider than that, and 0.05 for real ones."""
    num_control_chains: int = 1024
    """Chains of the control ladder of twice the steps, against which the verdict tests the draws."""

    def __post_init__(self) -> None:
        for key in (
            "num_chains",
            "num_draws",
            "thinning",
            "block_size",
            "steps_per_level",
            "num_control_chains",
        ):
            is_count = 1 <= getattr(self, key) < LARGEST_COUNT
            require(is_count, f"sample.{key}", getattr(self, key), "at least 1 and below 2^48")
        require(self.num_draws < LARGEST_DRAWS, "sample.num_draws", self.num_draws, "below 2^31")
        require(self.block_size <= LARGEST_BLOCK, "sample.block_size", self.block_size, f"at most {LARGEST_BLOCK:,}")
        require(self.num_levels >= 2, "sample.num_levels", self.num_levels, "at least 2")
        is_tried = self.exchange_rounds == 0 or self.exchange_rounds >= 2  # fewer do not try every pair
        require(is_tried, "sample.exchange_rounds", self.exchange_rounds, "0, or at least 2")
        is_rate = self.target_acceptance is None or 0 < self.target_acceptance < 1
        require(is_rate, "sample.target_acceptance", self.target_acceptance, "in (0, 1)")
        require(0.5 <= self.temperature <= 2, "sample.temperature", self.temperature, "from 0.5 to 2")
        is_noise = self.lowest_noise is None or 0.018 <= self.lowest_noise <= 1
        require(is_noise, "sample.lowest_noise", self.lowest_noise, "from 0.018 to 1")


@dataclass(frozen=True)
class Normalise:
    """Find log Z of the learned density, which makes likelihoods of its energies."""

    num_populations: int = 16
    """Populations of particles that walk down the noise levels, each with its own estimate of log Z; their spread is
    its error."""
    num_particles: int = 512
    """Particles of a population; four times as many halve the spread."""

    def __post_init__(self) -> None:
        for key, least in (("num_populations", 4), ("num_particles", 2)):
            require(getattr(self, key) >= least, f"normalise.{key}", getattr(self, key), f"at least {least}")
