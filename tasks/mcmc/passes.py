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

from tasks import native
from tasks.mcmc.metropolis import Info, State

SOURCE = Path(__file__).with_name("mala.cpp")
NAMES = {torch.float32: "float32", torch.float64: "float64"}


def are_possible(state: State) -> bool:
    """Whether the chains are on a CPU, of a type that is compiled, and there is a compiler."""
    return state.x.is_cpu and state.x.dtype in NAMES and _function("decide", state.x.dtype) is not None


def propose(noise: Float[Tensor, "chain dim"], state: State, step_size: float | Tensor) -> Float[Tensor, "chain dim"]:
    """`x + (eta/2) g + sqrt(eta) eps`."""
    y = state.x.new_empty(state.x.shape)
    _call("propose", state, step_size, (noise,), (y,))
    return y


def decide(
    uniform: Float[Tensor, " chain"], state: State, proposal: State, step_size: float | Tensor
) -> tuple[State, Info]:
    """The Metropolis test with MALA's ratio."""
    shape, new = state.x.shape, state.x.new_empty
    chosen = State(new(shape), new(shape[0]), new(shape))
    info = Info(new(shape[0]), new(shape[0], dtype=torch.bool), new(shape[0], dtype=torch.bool))
    _call("decide", state, step_size, (*proposal, uniform), (*chosen, *info))
    return chosen, info


@functools.cache
def _function(name: str, dtype: torch.dtype) -> Callable[..., None] | None:
    types = native.ADDRESS, native.NUMBER, native.COUNT, native.COUNT
    return native.function(SOURCE, f"{name}_{NAMES[dtype]}", *types)


def _call(
    name: str, state: State, step_size: float | Tensor, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> None:
    """One pass; `step_size` is eta, one of all chains or [chain, 1]."""
    num_chains, dim = state.x.shape
    sizes = step_size.to(state.x).expand(num_chains, 1) if isinstance(step_size, Tensor) else None
    of_all = 0.0 if isinstance(step_size, Tensor) else step_size
    given = [t if t is None or t.is_contiguous() else t.contiguous() for t in (*state, sizes, *inputs)]
    addresses = [None if t is None else t.data_ptr() for t in (*given, *outputs)]
    pointers = (ctypes.c_void_p * len(addresses))(*addresses)
    called = _function(name, state.x.dtype)
    assert called is not None
    called(ctypes.addressof(pointers), of_all, num_chains, dim)
