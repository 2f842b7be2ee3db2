"""log Z of densities whose constants are known, and the error that is claimed for it."""

import math

import pytest
import torch

from tasks.ebm.noise import ladder
from tasks.errors import UsageError
from tasks.mcmc import smc
from tasks.mcmc.streams import Stream
from tasks.mcmc.tempering import gaussian, tempered

LEVELS = tuple((torch.arange(25) / 24).square().tolist())
POPULATIONS = smc.Populations(16, 2048, 3)


def narrow(x):
    """`exp f` of N(m, diag(.1 .. 1)), without its constant: log Z = (d/2) ln 2 pi + sum ln sd."""
    sd = torch.linspace(0.3, 1.0, x.shape[1]).to(x)
    away = (x - 0.5) / sd
    return -0.5 * away.square().sum(1), -away / sd


def narrow_log_z(dim):
    return 0.5 * dim * math.log(2 * math.pi) + float(torch.linspace(0.3, 1.0, dim).log().sum())


MEANS = torch.tensor([[-3.0, 0.0], [3.0, 0.0]])


def mixture(x):
    """.8 and .2 of unit Gaussians six standard deviations apart, times e^7: log Z = 7."""
    away = x[:, None] - MEANS
    parts = torch.tensor([0.8, 0.2]).log() - 0.5 * away.square().sum(2) - math.log(2 * math.pi) + 7.0
    return parts.logsumexp(1), -(parts.softmax(1)[:, :, None] * away).sum(1)


def noised(logit_beta):
    """.8 and .2 of narrow Gaussians under noise: exp f = e^7 p at each level."""
    beta = 1 / (1 + math.exp(-logit_beta))
    means = math.sqrt(1 - beta) * torch.tensor([[-0.5, 0.0], [2.0, 0.0]])
    variance = 0.1 * (1 - beta) + beta

    def target(x):
        away = x[:, None] - means
        parts = torch.tensor([0.8, 0.2]).log() - 0.5 * away.square().sum(2) / variance
        value = parts.logsumexp(1) - math.log(2 * math.pi * variance) + 7.0
        return value, -(parts.softmax(1)[:, :, None] * away).sum(1) / variance

    return target


CASES = {
    "Gaussian, d = 2": (tempered(narrow, gaussian(1.5)), LEVELS, 2, 1.5, narrow_log_z(2)),
    "Gaussian, d = 8": (tempered(narrow, gaussian(1.5)), LEVELS, 8, 1.5, narrow_log_z(8)),
    "mixture": (tempered(mixture, gaussian(4.0)), LEVELS, 2, 4.0, 7.0),
    "mixture on a noise ladder": (noised, tuple(ladder(25, -5.0).tolist()), 2, 1.0, 7.0),
}


@pytest.fixture(scope="module", params=CASES)
def measured(request):
    target_at, levels, dim, scale, expected = CASES[request.param]
    sizes = smc.tune(Stream(0, 0), target_at, levels, [1.0] * 25, dim, 512, 12, scale)
    result = smc.log_z(Stream(0, 1), target_at, levels, sizes, dim, POPULATIONS, scale, confidence=0.9999)
    return result, expected


def test_log_z_is_within_a_twentieth_of_a_nat(measured):
    """The interval is shorter than .05 to each side, and 16 populations leave it in 1 of 10,000 runs, four cases."""
    result, expected = measured
    assert result.high - result.estimate < 0.05
    assert result.low < expected < result.high


def test_the_populations_spread_as_much_as_the_interval_says(measured):
    """Each of 16 is as likely above as below; that all are on one side has probability 2^-15, four cases."""
    result, expected = measured
    assert float(result.by_population.min()) < expected < float(result.by_population.max())


def test_the_estimate_of_z_is_unbiased_also_where_it_is_poor():
    """Few particles, few levels, no steps: 4,000 populations of 8, whose mean must be Z within 5 standard errors, 6e-7;
    the mean of the logs is far below.
    """
    target_at = tempered(narrow, gaussian(1.5))
    crude = smc.log_z(Stream(0, 2), target_at, (0.0, 0.3, 1.0), [0.3] * 3, 2, smc.Populations(4000, 8, 1), 1.5)
    ratio = (crude.by_population - narrow_log_z(2)).exp()
    error = float(ratio.std()) / math.sqrt(4000)
    assert abs(float(ratio.mean()) - 1) < 5 * error < 0.1
    assert float(crude.by_population.mean()) < narrow_log_z(2) - 0.02


@pytest.mark.parametrize("planted", ["weights kept", "gain lost", "old density"])
def test_a_planted_bug_moves_log_z(planted, monkeypatch):
    right = smc.resample

    def wrong(uniform, log_weight):
        index, after, gained = right(uniform, log_weight)
        return (index, log_weight, gained) if planted == "weights kept" else (index, after, 0 * gained)

    if planted == "old density":
        reweight = smc.reweight
        monkeypatch.setattr(smc, "reweight", lambda state, w, target: (reweight(state, w, target)[0], w))
    else:
        monkeypatch.setattr(smc, "resample", wrong)
    target_at = tempered(mixture, gaussian(4.0))
    result = smc.log_z(Stream(0, 1), target_at, LEVELS, [1.0] * 25, 2, smc.Populations(8, 256, 1), 4.0)
    assert abs(result.estimate - 7.0) > 0.3


def test_systematic_resampling_keeps_each_particle_as_often_as_its_weight_says():
    log_weight = torch.tensor([[0.5, 0.125, 0.25, 0.125], [0.25] * 4, [1.0, 0.0, 0.0, 0.0]]).double().log()
    uniform = torch.tensor([0.5, 0.5, 0.5]).double()
    # The first two have sample sizes 2.9 and 4 of 4 and stay; the last one is carried by one particle.
    index, after, gained = smc.resample(uniform, log_weight)
    assert index.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8]
    assert gained.tolist() == pytest.approx([0, 0, -math.log(4)])
    assert after[2].tolist() == [0, 0, 0, 0]


def test_too_few_populations_are_refused():
    with pytest.raises(UsageError, match="at least 4"):
        smc.Populations(1, 100, 1)
