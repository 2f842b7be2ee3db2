"""Chains over a learned energy at one noise level, from a cold start, against its density on a grid."""

import numpy as np
import pytest
import torch

from scorefleet.tasks.ebm import energies, model, training
from scorefleet.tasks.ebm.dequantise import grid_of
from scorefleet.tasks.ebm.objectives import EnergyLoss
from scorefleet.tasks.mcmc import keep
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import warmup

LOGIT_BETA, EDGE, NUM_CELLS = -2.0, 6.0, 400


@pytest.fixture(scope="module")
def network():
    """Learned from two clumps of unequal weight: not well, for its density is its own, but not a Gaussian."""
    torch.manual_seed(0)
    rows = 0.3 * torch.randn(2000, 2) + torch.where(torch.rand(2000, 1) < 0.3, 1.5, -0.7) * torch.tensor([1.0, 0.6])
    network = model.build(2, "scalar_head", 16, 1)
    optimizer, loss_of = training.optimizer_of(network, 1e-2, 0.0), EnergyLoss(network, 0.1)
    grid = grid_of(rows, torch.zeros(2), torch.zeros(2), torch.zeros(2))
    for step in range(150):
        batch = training.draw_batch(Stream(0, 0, "train"), step, rows, grid, 128)
        optimizer.zero_grad()
        sum(loss_of(batch.x, batch.noise, batch.logit_beta)).backward()
        optimizer.step()
    return network.eval()


def marginals(network):
    """Midpoints of cells and the distribution function of each coordinate at their right edges."""
    centre = (torch.arange(NUM_CELLS) + 0.5) * (2 * EDGE / NUM_CELLS) - EDGE
    x = torch.cartesian_prod(centre, centre)
    with torch.no_grad():
        value = network(x, torch.full((len(x),), LOGIT_BETA)).double()
    p = (value - value.max()).exp().view(NUM_CELLS, NUM_CELLS)
    return [(p.sum(1 - axis) / p.sum()).cumsum(0).numpy() for axis in range(2)]


def test_chains_that_start_cold_at_one_noise_level_draw_from_the_energy_in_float32(network):
    """128 chains; the last of 120 draws of each, which are independent of each other: Kolmogorov-Smirnov's distance is
    beyond sqrt(ln(2/1e-6)/(2*128)) = .238 with probability 1e-6. All draws together, worth 128 * 120 / 12 independent
    ones at the least, stray by .086 at most.
    """

    def target(x):
        return energies.value_and_score(network, x, torch.full((len(x),), LOGIT_BETA))

    stream = Stream(0, 0, "cold")
    warm = warmup.warm_up(stream, target, warmup.cold_start(stream, 128, 2).float())
    kept = keep.keep(stream, 100, warm.state, target, *warm.tuned, 120)
    assert kept.x.dtype == torch.float32
    assert kept.num_nonfinite == 0
    assert 0.5 < float(kept.acceptance.mean()) < 1
    edges = np.linspace(-EDGE, EDGE, NUM_CELLS + 1)[1:]
    for axis, law in enumerate(marginals(network)):
        for draws, bound in ((kept.x[-1, :, axis], 0.238), (kept.x[:, :, axis].flatten(), 0.086)):
            empirical = np.searchsorted(np.sort(draws.numpy()), edges, side="right") / len(draws)
            assert np.abs(empirical - law).max() < bound
