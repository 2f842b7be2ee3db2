import safetensors.numpy
import torch

from scorefleet.tasks.mcmc.coordinates.coordinates import Coordinates
from scorefleet.tasks.mcmc.coordinates.preconditioning import identity
from scorefleet.tasks.mcmc.coordinates.tails import RadialTail, TailsOfCoordinates
from scorefleet.tasks.mcmc.coordinates.triangular import Triangular
from scorefleet.tasks.mcmc.kernels.jump import Jumps
from scorefleet.tasks.mcmc.warmup import frozen
from scorefleet.tasks.mcmc.warmup.mixture import Mixture
from scorefleet.tasks.mcmc.warmup.windows import Tuned


def same(one, other):
    """Whether nested tuples of tensors and numbers are equal."""
    if isinstance(one, tuple):
        return type(one) is type(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_what_is_frozen_survives_a_file():
    square = torch.tensor([[0.0, 0.0], [0.3, 0.0]]).double()
    vector = torch.tensor([1.0, 2.0]).double()
    bent = Triangular(vector, torch.eye(2).double(), vector, square, torch.diag_embed(square), 0 * vector)
    jumps = Jumps(Mixture(vector[:1], vector[None], torch.eye(2)[None].double()), 0.4)
    for tuned in (
        Tuned(Coordinates(identity(2), bent), 0.7, 1.9, jumps),
        Tuned(Coordinates(identity(2), None, bent), 0.7, 1.9),
        Tuned(Coordinates(identity(2)), 0.7, 1.9),
        Tuned(Coordinates(identity(2), tails=TailsOfCoordinates(vector, vector, square)), 0.7, 1.9),
        Tuned(Coordinates(identity(2), radial=RadialTail(vector[0], vector[1])), 0.7, 1.9),
    ):
        loaded = safetensors.numpy.load(safetensors.numpy.save(frozen.to_arrays(tuned)))
        assert same(frozen.from_arrays(loaded), tuned)
