"""Counter-based random numbers: every number is a function of (seed, block, phase, step), never of who drew it or
when.

Philox 4x64 (Salmon et al., SC 2011): the 128-bit key names the block, the 256-bit counter names the phase, the step
and the use, and leaves 2^64 numbers to each. So a block that is drawn again, elsewhere or after a crash, is the
same block.
"""

import ctypes
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scorefleet.tasks.mcmc import native

SOURCE = Path(__file__).with_name("normals.cpp")


@functools.cache
def _function(name: str) -> Callable[..., None] | None:
    return native.function(SOURCE, name, native.ADDRESS, native.ADDRESS, native.COUNT)


@dataclass(frozen=True)
class Random:
    """The random numbers of one step of one block."""

    key: tuple[int, int]
    phase: int
    step: int

    def _generator(self, use: int) -> np.random.Generator:
        counter = np.array([0, use, self.step, self.phase], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=np.array(self.key, dtype=np.uint64), counter=counter))

    def _fill(self, function: str, use: int, numbers: Tensor) -> bool:
        """Fill with the bytes that numpy would give, in less than half the time; False where nothing is compiled."""
        fill = _function(function)
        if fill is None:
            return False
        place = (ctypes.c_uint64 * 6)(*self.key, 0, use, self.step, self.phase)
        fill(ctypes.addressof(place), numbers.data_ptr(), numbers.numel())
        return True

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32 numbers."""
        numbers = native.empty(shape)
        if not self._fill("fill_normal", 0, numbers):
            self._generator(0).standard_normal(out=numbers.numpy(), dtype=np.float32)
        return numbers

    def uniform(self, *shape: int) -> Tensor:
        """Uniform float64 numbers in [0, 1), from counters that `normal` never uses."""
        numbers = native.empty(shape, "float64")
        if not self._fill("fill_uniform", 1, numbers):
            self._generator(1).random(out=numbers.numpy())
        return numbers

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
