import math

import pytest
import torch

from scorefleet.tasks.ebm import energies, model

FORMS = list(energies.ENERGIES)


def _trained_like(energy, dim=3):
    torch.manual_seed(1)
    network = model.build(dim, energy, width=16, num_blocks=2).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


@pytest.mark.parametrize("energy", FORMS)
def test_an_untrained_energy_is_the_standard_normal(energy):
    x, t = torch.randn(8, 3), torch.linspace(-6, 6, 8)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1)
    torch.testing.assert_close(model.build(3, energy, 16, 2)(x, t), normal)


@pytest.mark.parametrize("energy", FORMS)
def test_the_score_is_the_gradient_of_the_log_density_by_finite_differences(energy):
    network = _trained_like(energy)
    x, t = torch.randn(4, 3, dtype=torch.float64), torch.linspace(-3, 3, 4, dtype=torch.float64)
    _, score = energies.value_and_score(network, x, t)
    for axis in range(3):
        step = 1e-5 * torch.eye(3, dtype=torch.float64)[axis]
        difference = (network(x + step, t) - network(x - step, t)) / 2e-5
        torch.testing.assert_close(score[:, axis], difference.detach(), rtol=1e-5, atol=1e-6)


def test_the_sign_the_score_points_to_where_the_data_are_and_the_energy_is_low_there():
    far, near, t = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.5, 0.0]]), torch.zeros(1)
    description = {"dim": 2, "energy": "scalar_head", "width": 8, "num_blocks": 1, "num_conditions": 0}
    trained = model.Model(model.build(**description), description)
    value, score = trained.value_and_score(far, t)
    assert float(score[0, 0]) < 0
    assert trained.energy(far, t).item() > trained.energy(near, t).item()
    torch.testing.assert_close(trained.energy(far, t), -value)


def test_a_fitted_anchor_is_the_exact_density_of_gaussian_rows_at_every_level():
    factor = torch.tensor([[1.0, 0.0], [0.9, 0.3]], dtype=torch.float64)
    rows = torch.randn(200_000, 2, dtype=torch.float64) @ factor.T
    fitted = energies.GaussianAnchor(2).double()
    fitted.fit(rows)
    x, t = torch.randn(6, 2, dtype=torch.float64), torch.linspace(-5, 5, 6, dtype=torch.float64)
    beta = torch.sigmoid(t)[:, None, None]
    covariance = (1 - beta) * torch.cov(rows.T) + beta * torch.eye(2)
    exact = torch.distributions.MultivariateNormal(torch.zeros(2, dtype=torch.float64), covariance)
    torch.testing.assert_close(fitted(x, t)[0], exact.log_prob(x))


def test_a_sharp_energy_is_its_anchor_at_pure_noise():
    network, x = _trained_like("inner_product"), torch.randn(4, 3, dtype=torch.float64)
    t = torch.full((4,), 40.0, dtype=torch.float64)
    torch.testing.assert_close(network(x, t), energies.anchor(x), rtol=0, atol=1e-6)


def test_anchor_is_normalised():
    x = torch.linspace(-10, 10, 4001, dtype=torch.float64)[:, None]
    assert math.isclose(float(energies.anchor(x).exp().sum() * 0.005), 1.0, rel_tol=1e-9)


@pytest.mark.parametrize("energy", FORMS)
def test_chains_do_not_couple_through_the_batch(energy):
    network = _trained_like(energy)
    x, t = torch.randn(5, 3, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    moved = x.clone()
    moved[1:] += 1
    torch.testing.assert_close(network(x, t)[0], network(moved, t)[0])
