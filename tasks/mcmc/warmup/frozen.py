"""What a warm-up froze, as arrays of one flat mapping and back, so that it can be a file."""

from typing import Any

import numpy as np
import torch

from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening
from scorefleet.tasks.mcmc.coordinates.tails import RadialTail, TailsOfCoordinates
from scorefleet.tasks.mcmc.coordinates.triangular import Triangular
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.warmup.mixture import Mixture
from scorefleet.tasks.mcmc.warmup.modes import Modes
from scorefleet.tasks.mcmc.warmup.windows import Tuned

WHITENING, MIXTURE, MODES = "whitening.", "mixture.", "modes."
LAYERS = {"bend": Triangular, "skew": Triangular, "tails": TailsOfCoordinates, "radial": RadialTail}
NUMBERS = "step_size, length, share"


def to_arrays(tuned: Tuned) -> dict[str, np.ndarray]:
    """Every tensor by its name; a share of 0 stands for no jumps."""
    parts = {WHITENING: tuned.coordinates.whitening, MIXTURE: tuned.jumps.mixture if tuned.jumps else None}
    parts |= {f"{name}.": getattr(tuned.coordinates, name) for name in LAYERS}
    share = tuned.jumps.share if tuned.jumps else 0.0
    arrays = {NUMBERS: np.array([tuned.step_size, tuned.length, share])}
    for prefix, part in parts.items():
        for name, tensor in (part._asdict() if part else {}).items():
            arrays[prefix + name] = tensor.contiguous().numpy()
    return arrays


def modes_to_arrays(modes: Modes) -> dict[str, np.ndarray]:
    """The modes that were found, by name."""
    tensors = modes.mixture._asdict() | {"mode": modes.mode, "share": modes.share}
    return {MODES + name: tensor.contiguous().numpy() for name, tensor in tensors.items()}


def modes_from_arrays(arrays: dict[str, np.ndarray]) -> Modes | None:
    """The same again; None of a warm-up that did not look for modes."""
    part = {name.removeprefix(MODES): torch.from_numpy(a) for name, a in arrays.items() if name.startswith(MODES)}
    if not part:
        return None
    mode, share = part.pop("mode"), part.pop("share")
    return Modes(Mixture(**part), mode, share)


def from_arrays(arrays: dict[str, np.ndarray]) -> Tuned:
    """The same again."""

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {name.removeprefix(prefix): torch.from_numpy(a) for name, a in arrays.items() if name.startswith(prefix)}

    step_size, length, share = arrays[NUMBERS].tolist()
    mixture, layers = part(MIXTURE), {name: part(f"{name}.") for name in LAYERS}
    made: dict[str, Any] = {name: LAYERS[name](**layer) if layer else None for name, layer in layers.items()}
    coordinates = Coordinates(Whitening(**part(WHITENING)), **made)
    return Tuned(coordinates, step_size, length, Jumps(Mixture(**mixture), share) if mixture else None)
