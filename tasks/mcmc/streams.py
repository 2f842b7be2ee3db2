"""Counter-based random numbers: every number is a function of (seed, block, phase, step), never of who drew it or
when.

Philox 4x64 (Salmon et al., SC 2011): the 128-bit key names the block, the 256-bit counter names the phase, the step
and the use, and leaves 2^64 numbers to each. So a block that is drawn again, elsewhere or after a crash, is the
same block.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Random:
    """The random numbers of one step of one block."""

    key: tuple[int, int]
    phase: int
    step: int

    def _generator(self, use: int) -> np.random.Generator:
        counter = np.array([0, use, self.step, self.phase], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=np.array(self.key, dtype=np.uint64), counter=counter))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32 numbers."""
        return torch.from_numpy(self._generator(0).standard_normal(shape, dtype=np.float32))

    def uniform(self, *shape: int) -> Tensor:
        """Uniform float64 numbers in [0, 1), from counters that `normal` never uses."""
        return torch.from_numpy(self._generator(1).random(shape))

    def integers(self, high: int, *shape: int) -> Tensor:
        """Uniform integers in [0, high)."""
        return torch.from_numpy(self._generator(2).integers(high, size=shape))


@dataclass(frozen=True)
class Stream:
    """The random stream of one block of one run."""

    seed: int
    block: int
    purpose: str = "chains"

    def at(self, phase: int, step: int) -> Random:
        """The numbers of `step` in `phase`."""
        digest = hashlib.sha256(f"{self.purpose}/{self.seed}/{self.block}".encode()).digest()
        return Random((int.from_bytes(digest[:8]), int.from_bytes(digest[8:16])), phase, step)
