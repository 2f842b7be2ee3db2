import math

import pytest
import torch

from scorefleet.tasks.ebm import model
from scorefleet.tasks.ebm.conservative import antisymmetric_share
from scorefleet.tasks.ebm.score_matching import rademacher


def _probes(count, rows, dim):
    generator = torch.Generator().manual_seed(1)
    uniforms = torch.rand(count * rows, dim, dtype=torch.float64, generator=generator)
    return rademacher(uniforms).reshape(count, rows, dim)


def _points(rows, dim):
    return torch.randn(rows, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_share_of_a_linear_field_is_that_of_its_matrix():
    """2,000 rows of one matrix with four probes: the estimate of each norm has a relative error below
    sqrt(2/8,000) = .016, so five of them (false alarm 6e-7), for a ratio of roots, are below .08.
    """
    matrix = torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    exact = float(((matrix - matrix.T) / 2).norm() / matrix.norm())
    share = antisymmetric_share(lambda x: x @ matrix.T, _points(2000, 5), _probes(4, 2000, 5))
    assert math.isclose(share, exact, rel_tol=0.08)
    assert 0.2 < exact < 0.9


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2])
def test_a_turned_gradient_has_the_sine_of_the_angle_for_its_share(angle):
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    share = antisymmetric_share(lambda x: -x @ turn.T, _points(50, 2), _probes(2, 50, 2))
    assert math.isclose(share, math.sin(angle), abs_tol=1e-12)


def test_the_gradient_of_an_energy_has_no_share_and_a_score_only_network_has():
    torch.manual_seed(0)
    shares = {}
    for energy in ("inner_product", "score_only"):
        network = model.build(3, energy, 16, 1).double()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)

        def field(x, network=network, energy=energy):
            t = torch.zeros(len(x), dtype=x.dtype)
            if energy == "score_only":
                return network(x, t)
            return torch.autograd.grad(network(x, t).sum(), x, create_graph=True)[0]

        shares[energy] = antisymmetric_share(field, _points(100, 3), _probes(4, 100, 3))
    assert shares["inner_product"] < 1e-12 < 0.05 < shares["score_only"]
