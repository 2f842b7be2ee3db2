"""What kind of processor made something: the same rows on the same kind, rows of the same law on another."""

import platform
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")


def hardware(device: torch.device | str) -> str:
    """Such as `x86_64 AVX512 AMD EPYC`, or a GPU's name."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} {_cpu_name()}".strip()


def _cpu_name() -> str:
    """What Linux calls the processor; nothing elsewhere."""
    if not CPUINFO.exists():
        return ""
    names = [
        line.partition(":")[2].strip() for line in CPUINFO.read_text().splitlines() if line.startswith("model name")
    ]
    return names[0] if names else ""
