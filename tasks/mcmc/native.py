"""C++ beside Python: a source file is compiled for this very processor when it is first needed, and then kept.

Where there is no g++ the Python beside it does the same work, more slowly and rounded otherwise.
"""

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.private_folder import make_private_folder

FLAGS = ("-std=gnu++17", "-O3", "-march=native", "-fno-math-errno", "-fopenmp-simd", "-shared", "-fPIC")
ADDRESS, COUNT, NUMBER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double


@functools.cache
def library(source: Path, *flags: str) -> ctypes.CDLL | None:
    """The functions of a C++ file, which run without Python's lock; None where it cannot be compiled or loaded."""
    if shutil.which("g++") is None:
        return None
    try:
        return ctypes.CDLL(str(_compiled(source, flags)))
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().partition("\n")[0]
    except (OSError, StorageError) as error:  # such as a temporary folder from which nothing may be executed
        reason = str(error)
    logging.getLogger(__name__).warning("%s is slower than it could be: %s", source.stem, reason)
    return None


def _compiled(source: Path, flags: tuple[str, ...]) -> Path:
    """What g++ makes of a source for this processor, or has made of it before; only this user can have put it there."""
    folder = make_private_folder() / "native"
    folder.mkdir(mode=0o700, exist_ok=True)
    key = hashlib.sha256("\n".join([source.read_text(encoding="utf-8"), *FLAGS, *flags, _processor()]).encode())
    compiled = folder / f"{source.stem}-{key.hexdigest()[:32]}.so"
    if not (compiled.is_file() and compiled.lstat().st_uid == os.geteuid()):
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:
            made = Path(unfinished) / compiled.name
            _compiler(*FLAGS, *flags, str(source), "-o", str(made))
            made.replace(compiled)
    return compiled


@functools.cache
def _processor() -> str:
    """Everything that g++ knows of itself and this processor."""
    return _compiler(*FLAGS, "-E", "-dM", "-x", "c++", "/dev/null")


def _compiler(*words: str) -> str:
    command = ["g++", *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True).stdout


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
    return "none" if library(source) is None else _compiler("--version").partition("\n")[0]


def empty(shape: tuple[int, ...] | torch.Size, dtype: str = "float32") -> Tensor:
    """Memory for a result, from numpy: torch lets go of Python's lock for it, and gets it back after other threads."""
    return torch.from_numpy(np.empty(shape, dtype))
