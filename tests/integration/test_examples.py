"""The examples of docs/examples do what they say."""

import math

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import torch

import scorefleet as sf
from docs.examples import from_scratch, jax_density

Y = np.array([1.0, 2.5, 0.5, 3.0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_numpyro_model_has_the_law_of_its_posterior():
    """A normal mean known in closed form, and a positive scale; six Monte Carlo standard errors (4e-9)."""

    def model(y):
        mean = numpyro.sample("mean", dist.Normal(0, 1))
        numpyro.sample("scale", dist.Gamma(3.0, 2.0))
        numpyro.sample("y", dist.Normal(mean, 2.0), obs=y)

    log_density, dim, variables = jax_density.of_numpyro(model, Y)
    draws = sf.sample(log_density, dim, num_draws=50)
    assert draws.verdict.is_converged, draws.verdict.reasons
    found = variables(draws.to_pandas()[list(draws.names)].to_numpy())
    assert not jax.config.jax_enable_x64  # the session's own
    variance = 1 / (1 + len(Y) / 4)
    error = 6 / np.sqrt(draws.verdict.metrics["chains/bulk_ess_min"])
    assert abs(found["mean"].mean() - variance * Y.sum() / 4) < error * np.sqrt(variance)
    assert abs(found["scale"].mean() - 1.5) < error * np.sqrt(3) / 2


def test_the_example_from_scratch_learns_the_moons():
    """An untrained energy is .048 away, one trained for the example's 3,000 steps .003, and for 600 .007."""
    of_draws, of_data, rates = from_scratch.main(num_steps=600)
    assert of_draws < 0.02
    assert of_data < 0.004
    assert min(rates) > 0.8


class Normal(from_scratch.Energy):
    def forward(self, x, beta):
        return -0.5 * x.square().sum(1)


def test_its_chains_keep_a_normal_at_any_step():
    """A step of .8: without the test the variance would be 2/(2 - .8) = 1.67; five standard errors of 8,000 numbers."""
    torch.manual_seed(0)
    x, beta = torch.randn(4000, 2), torch.full((4000,), 0.5)
    for _ in range(20):
        x, is_accepted = from_scratch.mala_step(Normal(), x, beta, step=0.8)
    assert abs(float(x.var()) - 1) < 5 * math.sqrt(2 / 8000)
    assert 0.6 < float(is_accepted.float().mean()) < 0.9
