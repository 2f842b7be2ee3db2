"""Random numbers of one worker's rows."""

from dataclasses import dataclass

from torch import Tensor

from scorefleet.tasks.mcmc.streams import Random


@dataclass(frozen=True)
class Part(Random):
    """Numbers drawn for the rows of all workers, `num_rows` together, of which worker `rank` takes its part: so they do
    not depend on how many workers there are.
    """

    num_rows: int
    rank: int = 0
    world_size: int = 1

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32 numbers of this worker's rows."""
        return super().normal(self.num_rows, *shape[1:]).tensor_split(self.world_size)[self.rank]

    def uniform(self, *shape: int) -> Tensor:
        """Uniform float64 numbers in [0, 1) of this worker's rows."""
        return super().uniform(self.num_rows, *shape[1:]).tensor_split(self.world_size)[self.rank]

    def whole(self) -> Random:
        """The numbers of all rows."""
        return Random(self.key, self.phase, self.step)
