"""What kind of processor and compiler made something: the same rows on the same, rows of the same law on others."""

import platform
import sys
from pathlib import Path

import torch

from scorefleet.tasks.mcmc import native
from scorefleet.tasks.mcmc.kernels import passes

CPUINFO = Path("/proc/cpuinfo")


def hardware(device: torch.device | str) -> str:
    """Such as `cpu x86_64 AVX512 AMD EPYC` or `cuda NVIDIA H100`."""
    if torch.device(device).type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()} {_cpu_name()}".strip()


def made_on(device: torch.device | str) -> dict[str, str]:
    """What a segment's facts say of where it was made; steps that are compiled are rounded otherwise than those of
    torch.
    """
    return {"hardware": hardware(device), "compiler": native.compiled_by(passes.SOURCE)}


def own_device() -> str:
    """The kind of device that a worker has: an actor's own is what Ray gave it."""
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        return "cuda" if sys.modules["ray"].get_gpu_ids() else "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_like(kind: str) -> str:
    """The device of this machine that is of the kind that `hardware` named."""
    return "cuda" if kind.startswith("cuda ") and torch.cuda.is_available() else "cpu"


def _cpu_name() -> str:
    """What Linux calls the processor; nothing elsewhere."""
    if not CPUINFO.exists():
        return ""
    names = [
        line.partition(":")[2].strip()
        for line in CPUINFO.read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else ""
