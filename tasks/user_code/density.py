"""A user's own density: a torch function named MODULE:FUNCTION, found in the working folder or among what is installed.

The function takes points `[chain, dim]` in float64, or the named blocks `[chain, *shape]` of its support by their
names, and `data` where a file of it is given. It returns their log densities `[chain]` in nats, up to a constant,
differentiable, each row by itself.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from scorefleet.tasks import config
from scorefleet.tasks.errors import DataError, UsageError, UserError
from scorefleet.tasks.mcmc.coordinates import constraints
from scorefleet.tasks.mcmc.coordinates.constraints import Support
from scorefleet.tasks.mcmc.kernels.metropolis import Target
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.targets import LogDensity, from_log_density
from scorefleet.tasks.mcmc.warmup import starts
from scorefleet.tasks.user_code import inputs, loading, observations
from scorefleet.tasks.user_code.guard import UserFunction, described
from scorefleet.tasks.user_code.inputs import Observed
from scorefleet.tasks.user_code.reads import VALUES

GIVEN = "given"
"""Stands for the module of functions that only this process has."""

_given: dict[str, UserFunction] = {}

NUM_PROBES = 16
NUM_FIRST = 4
"""Points of the first call."""

LARGEST_FLOAT32 = 80_000
"""Float32 numbers of this size are .01 nat apart."""


def load(name: str) -> UserFunction:
    """The function that `name`, MODULE:FUNCTION, stands for; UsageError when there is none."""
    return loading.load(name)


def digest_of(chains: config.Chains) -> str:
    """Names the density and all that it reads: what a step's key holds of it."""
    return inputs.for_key(observe(chains))


def observe(chains: config.Chains) -> Observed:
    """The density as it is now, and what it reads."""
    if chains.target.startswith(f"{GIVEN}:"):
        return _arranged(chains, _of_session(chains))
    return _arranged(chains, inputs.observe(chains.target, "target", _first_call(chains)))


def observed(chains: config.Chains) -> Observed:
    """The density as it was when it was last observed."""
    if chains.target.startswith(f"{GIVEN}:"):
        return _arranged(chains, _of_session(chains))
    return _arranged(chains, inputs.observed(chains.target, "target", _first_call(chains)))


def give(log_density: Callable[..., Any]) -> str:
    """Take a function of this Python session, which no other process can import; the name that stands for it here."""
    name = getattr(log_density, "__name__", "")
    target = f"{GIVEN}:{name if name.isidentifier() else 'log_density'}"
    torch.distributions.Distribution.set_default_validate_args(False)
    _given[target] = UserFunction(f"target {target!r}", log_density)
    return target


def _of_session(chains: config.Chains) -> Observed:
    """A function of this session: its key has its values at a few points."""
    if chains.target not in _given:
        raise UsageError(f"{chains.target!r} was a function of a Python session, which is gone: give it again there")
    function = _given[chains.target]
    values = _first_call(chains)(function) or ()
    return Observed(chains.target, function, None, {VALUES: " ".join(f"{value:.17g}" for value in values)}, (), {})


def _arranged(chains: config.Chains, seen: Observed) -> Observed:
    """A function of points alone, which has read the data that it is given."""
    read = {one.name: one.digest for one in [observations.read(chains.data)]} if chains.data else {}
    return dataclasses.replace(seen, function=_of_points(chains, seen.function), reads=seen.reads | read)


def _of_points(chains: config.Chains, given: UserFunction) -> UserFunction:
    """What calls the user's function by points with what its arguments are."""
    support, function = support_of(chains), given.function
    more = {"data": observations.read(chains.data).values} if chains.data else {}

    def of_points(x: Tensor) -> Any:
        return function(**support.blocks(x), **more) if support.is_named else function(x, **more)

    return given.over(of_points) if more or support.is_named else given


def _first_call(chains: config.Chains) -> inputs.TryOut:
    support = support_of(chains)
    generator = torch.Generator().manual_seed(0)
    x, _ = support.constrain(torch.randn(NUM_FIRST, support.free, generator=generator, dtype=torch.float64))

    def call(log_density: UserFunction) -> list[float]:
        value = _of_points(chains, log_density)(x)
        is_plain = isinstance(value, Tensor) and value.shape == (NUM_FIRST,) and _is_precise(value)
        return value.detach().double().tolist() if is_plain else []  # `check` refuses others

    return call


def support_of(chains: config.Chains) -> Support:
    """Where the density lives; UsageError when the words are others or do not add up to `dim`."""
    try:
        return constraints.parse(chains.support, chains.dim)
    except ValueError as error:
        raise UsageError(str(error)) from error


def check(name: str, log_density: LogDensity, support: Support, start: Tensor | None = None) -> None:
    """Refuse a function that is no density of independent rows, at random points, or at those in free coordinates where
    chains are to start; DataError in one line.
    """
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(NUM_PROBES, support.free, generator=generator, dtype=torch.float64)
    z = z if start is None else start[torch.arange(NUM_PROBES) % len(start)]
    x, _ = support.constrain(z)
    value = _evaluated(name, lambda: log_density(x))
    if not isinstance(value, Tensor) or value.shape != (NUM_PROBES,):
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise DataError(
            f"target {name!r} must return one log density a row, shape ({NUM_PROBES},) for points "
            f"{tuple(x.shape)}, but returned {got}"
        )
    _require_precise(name, value)
    if not _evaluated(name, lambda: _depends_on(log_density, x)):
        raise DataError(
            f"target {name!r} returns numbers that torch cannot differentiate by the points: leave out .detach(), "
            "numpy and torch.tensor(...); a constant density is 0 * x.sum(1)"
        )
    _require_rows_apart(name, log_density, x, value)
    target = from_log_density(support.pull(log_density))
    if start is None:
        _require_start(name, target, z)
    else:
        _require_finite(name, target, start)


def _require_rows_apart(name: str, log_density: LogDensity, x: Tensor, value: Tensor) -> None:
    """A row's log density is its own, up to rounding; a constant as large as 1e7 hides no more than .01 nat."""
    rtol, atol = (1e-9, 1e-6) if value.dtype == torch.float64 else (1e-5, 1e-3)
    for row in (0, NUM_PROBES - 1):
        alone, beside = _evaluated(name, lambda row=row: log_density(x[row : row + 1])), value[row]
        if alone.shape != (1,):
            raise DataError(
                f"target {name!r} must return one log density a row, shape (1,) for one point, but returned "
                f"{tuple(alone.shape)}: leave out .squeeze()"
            )
        if not torch.allclose(alone[0], beside, rtol=rtol, atol=atol, equal_nan=True):
            raise DataError(
                f"target {name!r} gives a row another log density beside other rows: {float(alone):.10g} alone and "
                f"{float(beside):.10g} among {NUM_PROBES}; sum over dim=1 only"
            )


def _require_start(name: str, target: Target, z: Tensor) -> None:
    found = _evaluated(name, lambda: starts.find(Stream(0, 0, "probes"), target, z))
    if not bool(starts.is_finite_at(target, found).any()):
        raise DataError(
            f"target {name!r} is finite, with its gradient, at none of {NUM_PROBES * starts.MOST_BATCHES:,} points at "
            f"scales from 1e-6 to 1e6, but {float(target(z)[0][0])} at the first: start chains where it is finite with "
            "--init FILE or MODULE:FUNCTION, or declare its domain with --support"
        )


def _require_finite(name: str, target: Target, start: Tensor) -> None:
    is_finite = _evaluated(name, lambda: starts.is_finite_at(target, start))
    if not bool(is_finite.all()):
        row = int(is_finite.int().argmin())
        raise DataError(
            f"target {name!r} or its gradient is not finite at row {row + 1} of the {len(start):,} points of --init: "
            "give points where both are"
        )


def _require_precise(name: str, value: Tensor) -> None:
    """A Metropolis test compares log densities to a fraction of a nat, whatever their size."""
    if not _is_precise(value):
        raise DataError(
            f"target {name!r} must return float64 on the CPU, as its points are, but returned {value.dtype} on "
            f"{value.device}"
        )
    largest = float(value.detach().abs().nan_to_num(0, 0).max())
    if value.dtype == torch.float32 and largest > LARGEST_FLOAT32:
        raise DataError(
            f"target {name!r} returns float32 as large as {largest:.3g}, of which .01 nat is lost to rounding beyond "
            f"{LARGEST_FLOAT32:.0f}: compute in float64, as the points are, or leave out a constant"
        )


def _is_precise(value: Tensor) -> bool:
    return value.dtype in (torch.float64, torch.float32) and value.device.type == "cpu"


def _depends_on(log_density: LogDensity, x: Tensor) -> bool:
    """Whether torch can differentiate by the points; parameters of the function's own may have gradients as well."""
    x = x.clone().requires_grad_()
    value = log_density(x)
    return value.requires_grad and torch.autograd.grad(value.sum(), x, allow_unused=True)[0] is not None


def _evaluated(name: str, evaluate: Callable[[], Any]) -> Any:
    """What user code returns; whatever it raises is one line that names it."""
    try:
        return evaluate()
    except UserError:
        raise
    except Exception as error:  # of torch, which cannot differentiate what the user's code did
        raise DataError(f"target {name!r} raised {described(error)}") from error
