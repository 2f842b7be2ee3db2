"""Log-likelihoods against densities that are known at every noise level."""

import math

import pytest
import torch

from tasks.ebm import likelihood
from tasks.errors import UsageError

LEVEL = -5.0
SIGMA = math.exp(LEVEL / 2)


def gaussian(dim):
    """The noised N(m, diag(v)), and its density of `x + sigma eps`."""
    mean, variance = torch.linspace(-0.1, 0.1, dim).double(), torch.linspace(0.1, 2.0, dim).double()

    def log_density(x, t):
        beta = torch.sigmoid(t.double())[:, None]
        law = torch.distributions.Normal((1 - beta).sqrt() * mean, ((1 - beta) * variance + beta).sqrt())
        return law.log_prob(x).sum(1)

    def exact(rows):
        return torch.distributions.Normal(mean, (variance + SIGMA**2).sqrt()).log_prob(rows).sum(1)

    return log_density, exact, mean, variance


def mixture():
    """.8 and .2 of narrow Gaussians, as standardised data would have them."""
    means = torch.tensor([[-0.5, 0.0], [2.0, 0.3]]).double()

    def of(x, scale, variance):
        squared = (x[:, None] - scale[:, :, None] * means).square().sum(2)
        parts = torch.tensor([0.8, 0.2]).double().log() - 0.5 * squared / variance
        return (parts - (2 * math.pi * variance).log()).logsumexp(1)

    def log_density(x, t):
        beta = torch.sigmoid(t.double())[:, None]
        return of(x, (1 - beta).sqrt(), (1 - beta) * 0.05 + beta)

    def exact(rows):
        return of(rows, torch.ones(1, 1).double(), torch.tensor(0.05 + SIGMA**2).double())

    return log_density, exact, means


def gaussian_rows(mean, variance):
    noise = torch.randn(64, len(mean), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return mean + variance.sqrt() * noise


@pytest.mark.parametrize("dim", [1, 8])
def test_probability_flow_gives_the_density_of_a_gaussian(dim):
    log_density, exact, mean, variance = gaussian(dim)
    rows = gaussian_rows(mean, variance)
    found = likelihood.by_probability_flow(log_density, rows, LEVEL)
    torch.testing.assert_close(found, exact(rows), rtol=0, atol=0.01)


def test_probability_flow_gives_the_density_of_a_mixture():
    """Rows of both modes; a twentieth of a nat in the mean, and a fifth in each row."""
    log_density, exact, means = mixture()
    noise = torch.randn(64, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rows = means[(torch.arange(64) % 5 == 0).long()] + math.sqrt(0.05) * noise
    error = likelihood.by_probability_flow(log_density, rows, LEVEL, num_steps=48) - exact(rows)
    assert abs(float(error.mean())) < 0.05
    assert float(error.abs().max()) < 0.2


def test_the_integration_error_falls_with_the_fourth_power_of_the_steps():
    log_density, _, mean, variance = gaussian(2)
    rows = gaussian_rows(mean, variance)
    fine = likelihood.by_probability_flow(log_density, rows, LEVEL, 128)
    coarse, finer = (likelihood.by_probability_flow(log_density, rows, LEVEL, n) - fine for n in (16, 32))
    assert 8 < float(coarse.abs().max() / finer.abs().max()) < 32


def test_the_normalised_energy_gives_the_density_whatever_its_constant():
    log_density, exact, mean, variance = gaussian(3)
    rows = gaussian_rows(mean, variance)
    found = likelihood.by_normalised_energy(lambda x, t: log_density(x, t) + 7.0, rows, LEVEL, 7.0)
    torch.testing.assert_close(found, exact(rows))


def test_the_flow_does_not_see_the_constant_of_the_energy():
    log_density, _, mean, variance = gaussian(3)
    rows = gaussian_rows(mean, variance)
    found = [
        likelihood.by_probability_flow(lambda x, t, c=c: log_density(x, t) + c * t, rows, LEVEL, 8) for c in (0, 5)
    ]
    torch.testing.assert_close(found[0], found[1])


def test_bits_of_uniform_bytes_are_eight_in_either_unit():
    """A density of 1/256 a step, in units of `scale` steps."""
    scale = torch.tensor([30.0, 60.0])
    nats = (scale / 256).log().sum()[None]
    assert float(likelihood.bits_per_dimension(nats, scale)) == pytest.approx(8.0)
    assert float(likelihood.bits_per_dimension(nats, scale / 255, 1 / 255)) == pytest.approx(8.0, abs=1e-5)


def test_too_many_dimensions_are_refused():
    with pytest.raises(UsageError, match="at most 64"):
        likelihood.by_probability_flow(gaussian(2)[0], torch.zeros(1, 65), LEVEL)
