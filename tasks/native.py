"""C++ beside Python: a source file is compiled for this very processor when a process first needs it, in a second.

Where there is no g++ the Python beside it does the same work, more slowly and rounded otherwise.
"""

import ctypes
import functools
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FLAGS = ("-std=gnu++17", "-O3", "-march=native", "-fno-math-errno", "-fopenmp-simd", "-shared", "-fPIC")
ADDRESS, COUNT, NUMBER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double


@functools.cache
def library(source: Path, *flags: str) -> ctypes.CDLL | None:
    """The functions of a C++ file, which run without Python's lock; None where it cannot be compiled or loaded."""
    compiler = shutil.which("g++")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / f"{source.stem}.so"
        command = [compiler, *FLAGS, *flags, str(source), "-o", str(compiled)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        try:
            if done.returncode == 0:
                return ctypes.CDLL(str(compiled))
            reason = done.stderr.strip().partition("\n")[0]
        except OSError as error:  # a temporary folder from which nothing may be executed
            reason = str(error)
    logging.getLogger(__name__).warning("%s is slower than it could be: %s", source.stem, reason)
    return None


@functools.cache
def function(source: Path, name: str, *types: Any) -> Callable[..., None] | None:
    """One of its functions, and the types of its arguments (`ADDRESS`, `COUNT`, `NUMBER`); None where there is none."""
    found = library(source)
    if found is None:
        return None
    called = found[name]
    called.argtypes, called.restype = types, None
    return called


def compiled_by(source: Path) -> str:
    """What compiled a C++ file here, such as `g++ (Debian 12.2.0-14) 12.2.0`, or `none` where Python does its work."""
    return "none" if library(source) is None else _version()


@functools.cache
def _version() -> str:
    done = subprocess.run(["g++", "--version"], capture_output=True, encoding="utf-8", errors="replace", check=True)
    return done.stdout.partition("\n")[0]


def empty(shape: tuple[int, ...] | torch.Size, dtype: str = "float32") -> Tensor:
    """Memory for a result, from numpy: torch lets go of Python's lock for it, and gets it back after other threads."""
    return torch.from_numpy(np.empty(shape, dtype))
