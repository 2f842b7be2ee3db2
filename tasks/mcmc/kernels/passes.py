"""What `mala.step` does before and after the target is evaluated, each in one pass over the chains (`mala.cpp`).

The same formulas as in `mala` and `metropolis`, to rounding; thirty small tensor operations take as long as a small
network does.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from scorefleet.tasks.mcmc import native
from scorefleet.tasks.mcmc.kernels.metropolis import Info, State

SOURCE = Path(__file__).with_name("mala.cpp")
NAMES = {torch.float32: "float32", torch.float64: "float64"}


def are_possible(state: State) -> bool:
    """Whether the chains are on a CPU, of a type that is compiled, and there is a compiler."""
    return state.x.is_cpu and state.x.dtype in NAMES and _function("decide", state.x.dtype) is not None


def propose(noise: Float[Tensor, "chain dim"], state: State, step_size: float | Tensor) -> Float[Tensor, "chain dim"]:
    """`x + (eta/2) g + sqrt(eta) eps`."""
    y = native.empty(state.x.shape, NAMES[state.x.dtype])
    _call("propose", state, step_size, (_plain(noise, y.dtype),), (y,))
    return y


def decide(
    uniform: Float[Tensor, " chain"], state: State, proposal: State, step_size: float | Tensor
) -> tuple[State, Info]:
    """The Metropolis test with MALA's ratio."""
    shape, dtype = state.x.shape, NAMES[state.x.dtype]
    chosen = State(*(native.empty(size, dtype) for size in (shape, shape[:1], shape)))
    info = Info(*(native.empty(shape[:1], kind) for kind in (dtype, "bool", "bool")))
    there = [_plain(tensor, state.x.dtype) for tensor in proposal]
    _call("decide", state, step_size, (*there, _plain(uniform, torch.float64)), (*chosen, *info))
    return chosen, info


@functools.cache
def _function(name: str, dtype: torch.dtype) -> Callable[..., None] | None:
    types = native.ADDRESS, native.NUMBER, native.COUNT, native.COUNT
    return native.function(SOURCE, f"{name}_{NAMES[dtype]}", *types)


def _call(
    name: str, state: State, step_size: float | Tensor, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> None:
    """One pass; `step_size` is eta, one of all chains or [chain, 1]."""
    (num_chains, dim), dtype = state.x.shape, state.x.dtype
    sizes = _plain(step_size.expand(num_chains, 1), dtype) if isinstance(step_size, Tensor) else None
    of_all = 0.0 if isinstance(step_size, Tensor) else step_size
    given = [*(_plain(tensor, dtype) for tensor in state), sizes, *inputs]
    addresses = [None if tensor is None else tensor.data_ptr() for tensor in (*given, *outputs)]
    pointers = (ctypes.c_void_p * len(addresses))(*addresses)
    called = _function(name, dtype)
    assert called is not None
    called(ctypes.addressof(pointers), of_all, num_chains, dim)


def _plain(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """As the passes read it."""
    return tensor if tensor.dtype is dtype and tensor.is_contiguous() else tensor.to(dtype).contiguous()
