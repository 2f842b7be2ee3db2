"""Log-likelihoods against densities that are known at every noise level."""

import math

import pytest
import torch

from scorefleet.tasks.ebm import likelihood
from scorefleet.tasks.ebm.dequantise import Grid, dequantise
from scorefleet.tasks.ebm.likelihood import Units
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.mcmc.streams import Stream

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


def units(scale, step, lowest, highest, share=0.1):
    parts = (torch.full_like(scale, value) for value in (share, share))
    return Units(scale, Grid(step / scale, lowest / scale, highest / scale, *parts))


def test_bits_of_uniform_bytes_are_eight_whatever_their_scale():
    """A density of 1/256 a step, inside the range."""
    scale = torch.tensor([30.0, 60.0])
    of_bytes = units(scale, torch.ones(2), torch.zeros(2), torch.full((2,), 255.0))
    rows = torch.tensor([[7.0, 100.0]]) / scale
    nats = likelihood.of_data((scale / 256).log().sum()[None], rows, rows, of_bytes)
    assert float(likelihood.bits_per_dimension(nats, 2)) == pytest.approx(8.0, abs=0.01)  # bins of .998 steps


def test_real_numbers_in_smaller_units_have_more_of_them():
    """In millimetres the density is a thousandth of that in metres, once for each coordinate."""
    rows, log_q = torch.zeros(1, 3), torch.zeros(1)
    none = torch.zeros(3)
    metres, millimetres = (units(torch.full((3,), scale), none, none, none) for scale in (2.0, 2000.0))
    change = likelihood.of_data(log_q, rows, rows, millimetres) - likelihood.of_data(log_q, rows, rows, metres)
    assert float(change) == pytest.approx(-3 * math.log(1000), rel=1e-5)
    assert float(likelihood.of_data(log_q, rows, rows, metres)) == pytest.approx(-3 * math.log(2), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, 4.0])
def test_whole_numbers_are_as_likely_as_the_mass_that_is_theirs(value):
    """`E q/spread` is the mass of q where a whole number is spread to, beyond either end or around a number between,
    beside a real number: q is normal with mean 1.7, sd 1.1 in units of a standard deviation 2, and 400,000 numbers
    give it within a hundredth (bins of .998 steps take .002).
    """
    scale, law = torch.tensor([2.0, 5.0]), torch.distributions.Normal(0.85, 0.55)
    mixed = units(scale, torch.tensor([1.0, 0.0]), torch.zeros(2), torch.tensor([4.0, 9.0]))
    rows = torch.tensor([[value / 2, 0.3]]).expand(400_000, 2)
    spread = dequantise(rows, mixed.grid, Stream(0, int(value)).at(0, 0))
    found = likelihood.of_data(law.log_prob(spread[:, 0]), rows, spread, mixed).exp().mean() * 5.0
    ends = {0.0: (-math.inf, -0.5), 1.0: (0.5, 1.5), 4.0: (4.5, math.inf)}[value]
    low, high = (float(law.cdf(torch.tensor(end / 2))) for end in ends)
    assert float(found) == pytest.approx(high - low, rel=0.01)


def test_too_many_dimensions_are_refused():
    with pytest.raises(UsageError, match="at most 64"):
        likelihood.by_probability_flow(gaussian(2)[0], torch.zeros(1, 65), LEVEL)
