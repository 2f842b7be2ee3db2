"""A user's own density: a torch function named MODULE:FUNCTION, found in the working folder or among what is installed.

The function takes points `[chain, dim]` in float64 and returns their log densities `[chain]` in nats, up to a
constant, differentiable, each row by itself.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks import config, sources
from tasks.errors import DataError, UsageError
from tasks.mcmc import constraints, starts
from tasks.mcmc.constraints import Support
from tasks.mcmc.metropolis import Target
from tasks.mcmc.streams import Stream
from tasks.mcmc.targets import LogDensity, from_log_density

NUM_PROBES = 16


def load(name: str) -> LogDensity:
    """The function that `name`, MODULE:FUNCTION, stands for; UsageError when there is none."""
    # Chains go where a density is no number, and are turned back there: an exception would end them all.
    torch.distributions.Distribution.set_default_validate_args(False)
    module_name, _, function_name = name.partition(":")
    folder = find_from_here()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{name!r} needs the module {error.name!r}, which is neither in {folder} nor installed"
        ) from error
    except Exception as error:  # whatever the user's own code raises while it is imported
        raise UsageError(f"{module_name!r} cannot be imported: {type(error).__name__}: {_first_line(error)}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        if function is not None:
            raise UsageError(f"{name} is {type(function).__name__}, but must be a function of points [chain, dim]")
        near = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UsageError(f"{module_name} has no function {function_name!r}; it has {', '.join(near) or 'none'}")
    log_density: Any = function
    return log_density


def find_from_here() -> str:
    """Have modules of the working folder found, which it returns."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return folder


def digest_of(chains: config.Chains) -> str:
    """`source_digest` of the density: what a step's key holds of it."""
    return source_digest(chains.target)


def source_digest(name: str) -> str:
    """The sha256 of the source of MODULE:FUNCTION and of all modules of the user's own that it imports; none is run."""
    find_from_here()
    try:
        return sources.digest_of(name)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"the source of {name!r} cannot be read: {error}") from error


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
    value = evaluated("target", name, lambda: log_density(x))
    if not isinstance(value, Tensor) or value.shape != (NUM_PROBES,):
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise DataError(
            f"target {name!r} must return one log density a row, shape ({NUM_PROBES},) for points "
            f"{tuple(x.shape)}, but returned {got}"
        )
    if not evaluated("target", name, lambda: log_density(x.clone().requires_grad_())).requires_grad:
        raise DataError(
            f"target {name!r} returns numbers that torch cannot differentiate by the points: leave out .detach(), "
            "numpy and torch.tensor(...); a constant density is 0 * x.sum(1)"
        )
    first = evaluated("target", name, lambda: log_density(x[:1]))
    if not torch.allclose(first, value[:1], rtol=1e-6, equal_nan=True):
        raise DataError(
            f"target {name!r} gives a row another log density beside other rows: {float(first[0]):.6g} alone and "
            f"{float(value[0]):.6g} among {NUM_PROBES}; sum over dim=1 only"
        )
    target = from_log_density(support.pull(log_density))
    if start is None:
        _require_start(name, target, z)
    else:
        _require_finite(name, target, start)


def _require_start(name: str, target: Target, z: Tensor) -> None:
    found = evaluated("target", name, lambda: starts.find(Stream(0, 0, "probes"), target, z))
    if not bool(starts.is_finite_at(target, found).any()):
        raise DataError(
            f"target {name!r} is finite, with its gradient, at none of {NUM_PROBES * starts.MOST_BATCHES:,} points at "
            f"scales from 1e-6 to 1e6, but {float(target(z)[0][0])} at the first: start chains where it is finite with "
            "--init FILE or MODULE:FUNCTION, or declare its domain with --support"
        )


def _require_finite(name: str, target: Target, start: Tensor) -> None:
    is_finite = evaluated("target", name, lambda: starts.is_finite_at(target, start))
    if not bool(is_finite.all()):
        row = int(is_finite.int().argmin())
        raise DataError(
            f"target {name!r} or its gradient is not finite at row {row + 1} of the {len(start):,} points of --init: "
            "give points where both are"
        )


def evaluated(what: str, name: str, evaluate: Callable[[], Any]) -> Any:
    """What user code returns; whatever it raises is one line that names it."""
    try:
        return evaluate()
    except Exception as error:
        raise DataError(f"{what} {name!r} raised {type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
