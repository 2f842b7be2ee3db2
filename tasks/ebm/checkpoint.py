"""The state of training as safetensors: weights, their moving average, the optimiser's moments, persistent chains and
the step.
"""

import safetensors.torch
import torch
from torch import Tensor, nn

NOTHING = nn.Module()


def pack(
    step: int,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    particles: nn.Module = NOTHING,
) -> bytes:
    """All that training needs to go on after `step` finished steps."""
    tensors: dict[str, Tensor] = {"step": torch.tensor(step)}
    for prefix, module in (("network", network), ("average", average), ("particles", particles)):
        tensors |= {f"{prefix}/{name}": value for name, value in module.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in moments.items()}
    return safetensors.torch.save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})


def unpack(
    data: bytes,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    particles: nn.Module | None = None,
) -> int:
    """Fill what `pack` was given, `particles` only where they are wanted, and return the number of finished steps."""
    tensors = safetensors.torch.load(data)
    network.load_state_dict(_below(tensors, "network/"))
    average.load_state_dict(_below(tensors, "average/"))
    if particles is not None:
        particles.load_state_dict(_below(tensors, "particles/"))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _below(tensors, "optimizer/").items():
        index, moment = name.split("/")
        state.setdefault(int(index), {})[moment] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(tensors["step"])


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
