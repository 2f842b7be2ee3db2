import math

import pytest
import torch

from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.targets import from_log_density
from scorefleet.tasks.mcmc.warmup import starts

STREAM = Stream(0, 0, "warm-up")


def where(is_inside):
    return from_log_density(lambda x: torch.where(is_inside(x), -0.5 * x.square().sum(1), -math.inf))


def is_ordered(x):
    return (x.diff(dim=1) > 0).all(1)


def is_in_a_thin_ring(x):
    return (x.norm(dim=1) - 30).abs() < 0.3


def is_tiny(x):
    return ((x > 0) & (x < 1e-5)).all(1)


def is_far(x):
    return (x > 1e4).all(1)


def is_mixed(x):
    return (x[:, 0].abs() < 1e-4) & (x[:, 1] > 1e3)


@pytest.mark.parametrize(
    ("is_inside", "dim"), [(is_ordered, 9), (is_in_a_thin_ring, 2), (is_tiny, 2), (is_far, 2), (is_mixed, 2)]
)
def test_finite_starts_are_found_where_a_cold_start_has_none(is_inside, dim):
    x = -torch.ones(64, dim, dtype=torch.float64)
    found = starts.find(STREAM, where(is_inside), x)
    assert bool(is_inside(found).all())
    assert len(found.unique(dim=0)) > 16


def test_starts_that_are_finite_stay_where_they_are():
    x = Stream(1, 0).at(0, 0).normal(64, 2).double()
    target = where(lambda x: x[:, 0] > 0)
    found, is_good = starts.find(STREAM, target, x), x[:, 0] > 0
    assert torch.equal(found[is_good], x[is_good])
    assert bool((found[:, 0] > 0).all())
    assert torch.equal(found, starts.find(STREAM, target, x))


def test_nan_and_infinite_densities_are_no_starts():
    log = from_log_density(lambda x: x.log().sum(1))
    assert bool((starts.find(STREAM, log, -torch.ones(8, 2, dtype=torch.float64)) > 0).all())


def test_starts_stay_where_no_density_is_finite(monkeypatch):
    monkeypatch.setattr(starts, "MOST_BATCHES", 5)
    x = torch.ones(8, 2, dtype=torch.float64)
    assert torch.equal(starts.find(STREAM, where(lambda x: x[:, 0] > math.inf), x), x)
