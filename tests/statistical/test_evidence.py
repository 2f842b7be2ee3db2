"""log Z along a tempering ladder, of densities whose constants are known, in the user's own coordinates."""

import math

import pytest
import torch
from scipy import stats

from scorefleet.tasks.mcmc.coordinates.constraints import parse
from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening
from scorefleet.tasks.mcmc.noise_ladder import smc
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.targets import from_log_density
from scorefleet.tasks.mcmc.tempering import evidence
from scorefleet.tasks.mcmc.warmup.mixture import Mixture
from scorefleet.tasks.mcmc.warmup.modes import Modes

CONCENTRATION = torch.tensor([2.0, 3.0, 4.0, 0.7], dtype=torch.float64)


def gaussian(x):
    """`exp f` of N(1, diag(.25, .25)), without its constant."""
    return -2 * (x - 1).square().sum(1)


def gamma(x):
    return 2 * x.log().sum(1) - 2 * x.sum(1)


def dirichlet(x):
    return ((CONCENTRATION - 1) * x.log()).sum(1)


def mixture(x):
    """.8 and .2 of unit Gaussians eight standard deviations apart, times e^7."""
    away = x - 8 * torch.eye(2, dtype=x.dtype)[0]
    near, far = (-0.5 * part.square().sum(1) for part in (x, away))
    return torch.logaddexp(math.log(0.8) + near, math.log(0.2) + far) - math.log(2 * math.pi) + 7


CASES = {
    "Gaussian": (gaussian, "real*2", math.log(2 * math.pi / 4)),
    "Gamma": (gamma, "positive*2", 2 * (math.lgamma(3) - 3 * math.log(2))),
    "Dirichlet": (dirichlet, "simplex*4", float(CONCENTRATION.lgamma().sum() - CONCENTRATION.sum().lgamma())),
    "mixture": (mixture, "real*2", 7.0),
}


def white(name):
    """The density in coordinates that are off its own by a half and a shift, as a warm-up might leave them; the log of
    the volume of these; and what log Z should be.
    """
    log_density, words, expected = CASES[name]
    support = parse(words, int(words.rpartition("*")[2]))
    whitening = Whitening(torch.full((support.free,), 0.2).double(), 0.8 * torch.eye(support.free).double())
    target = whitening.pull(from_log_density(support.pull(log_density)))
    return target, support.free, support.free * math.log(0.8), expected


@pytest.mark.parametrize("name", CASES)
def test_log_z_is_within_a_twentieth_of_a_nat(name):
    """A 99.99 % interval from 12 populations, four cases; and the estimate itself within .05."""
    target, dim, volume, expected = white(name)
    schedule = evidence.plan(Stream(0, 0, "plan"), target, dim, 1024, 5.0)
    found = [evidence.population(Stream(0, k, "evidence"), schedule, target) for k in range(12)]
    result = smc.interval([one.log_z for one in found], 0.9999)
    assert abs(result.estimate + volume - expected) < 0.05
    assert result.low < expected - volume < result.high
    assert result.high - result.low < 0.3


@pytest.mark.parametrize(("weight", "distance"), [(0.5, 30.0), (0.2, 40.0)])
def test_a_mode_that_the_warm_up_found_is_counted_however_far_it_is(weight, distance):
    """Two Gaussians of widths 1 and .1, of which one alone lies within reach of N(0, 5^2 I): a 99.99 % interval from
    12 populations, and within .05. Without the modes the estimate is off by ln of a weight.
    """
    factor = torch.eye(2).double() * torch.tensor([1.0, 0.1]).double()[:, None, None]
    mean = torch.tensor([[0.0, 0.0], [distance, 0.0]]).double()
    known = Mixture(torch.tensor([1 - weight, weight]).double().log(), mean, factor)
    modes = Modes(known, torch.tensor([0, 1]), torch.tensor([1 - weight, weight]).double())
    target = from_log_density(known.log_density)
    schedule = evidence.plan(Stream(0, 0, "plan"), target, 2, 1024, 5.0, modes)
    found = [evidence.population(Stream(0, k, "evidence"), schedule, target, modes).log_z for k in range(12)]
    result = smc.interval(found, 0.9999)
    assert abs(result.estimate) < 0.05
    assert result.low < 0 < result.high
    assert evidence.population(Stream(0, 0, "evidence"), schedule, target).log_z < math.log(1 - weight) / 2


def test_intervals_hold_the_truth_as_often_as_they_say():
    """20 intervals of 95 %, each of 4 small populations: fewer hits than the binomial law's 1e-6 quantile are no
    chance. Nor is a mean of Z that is 5 standard errors off.
    """
    target, dim, volume, expected = white("Gaussian")
    schedule = evidence.plan(Stream(0, 0, "plan"), target, dim, 64, 5.0)
    found = [evidence.population(Stream(0, k), schedule, target).log_z for k in range(80)]
    results = [smc.interval(found[k : k + 4], 0.95) for k in range(0, len(found), 4)]
    hits = sum(result.low < expected - volume < result.high for result in results)
    assert hits >= stats.binom.ppf(1e-6, 20, 0.95)
    ratio = (torch.tensor(found, dtype=torch.float64) + volume - expected).exp()
    assert abs(float(ratio.mean()) - 1) < 5 * float(ratio.std()) / math.sqrt(80)


def test_a_population_is_a_function_of_its_stream():
    target, dim, _, _ = white("mixture")
    schedule = evidence.plan(Stream(0, 0, "plan"), target, dim, 64, 5.0)
    one, again, other = (evidence.population(Stream(0, k), schedule, target).log_z for k in (1, 1, 2))
    assert one == again != other


def test_evaluations_are_counted():
    target, dim, _, _ = white("Gaussian")
    schedule, count = evidence.plan(Stream(0, 0, "plan"), target, dim, 64, 5.0), [0]

    def counted(x):
        count[0] += 1
        return target(x)

    evidence.population(Stream(0, 0), schedule, counted)
    assert count[0] == schedule.num_evaluations


def test_points_outside_the_support_have_no_weight():
    """The half line: half of the reference is outside of an exponential law, whose integral is 1."""

    def exponential(x):
        return torch.where(x[:, 0] > 0, -x[:, 0], -torch.inf)

    target = from_log_density(exponential)
    schedule = evidence.plan(Stream(0, 0, "plan"), target, 1, 512, 5.0)
    found = [evidence.population(Stream(0, k), schedule, target).log_z for k in range(8)]
    result = smc.interval(found, 0.9999)
    assert abs(result.estimate) < 0.1
    assert result.low < 0 < result.high
