import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf

from scorefleet.tasks.mcmc.coordinates import metric
from scorefleet.tasks.mcmc.coordinates.preconditioning import identity
from scorefleet.tasks.mcmc.streams import Stream


def rows(num_rows, dim, step=0):
    return Stream(0, 0).at(0, step).normal(num_rows, dim).double()


def positive(step):
    root = rows(8, 4, step)
    return root.T @ root


@pytest.mark.parametrize("num_rows", [5, 30, 1000])
def test_shrinkage_is_that_of_scikit_learn(num_rows):
    x = rows(num_rows, 6) @ torch.diag(torch.arange(1.0, 7.0).double())
    expected, _ = ledoit_wolf(x.numpy())
    np.testing.assert_allclose(metric.shrunk_covariance(x).numpy(), expected, rtol=1e-9)


def test_the_geometric_mean_solves_its_equation():
    covariance, scores = positive(1), positive(2)
    mean = metric.geometric_mean(covariance, scores)
    torch.testing.assert_close(mean @ scores @ mean, covariance)


def test_a_gaussian_of_condition_one_million_is_whitened():
    """4,000 rows in 5 dimensions: a whitened covariance strays from I by some sqrt(5/4000) = .035, bound at 6 of it."""
    factor = torch.linalg.qr(rows(5, 5, 3)).Q @ torch.diag(torch.logspace(0, 3, 5, dtype=torch.float64))
    z = rows(4000, 5, 4)
    learned = metric.learn(identity(5), 7 + z @ factor.T, -z @ factor.inverse())
    white = torch.linalg.solve(learned.factor, factor)
    assert float((white @ white.T - torch.eye(5)).abs().max()) < 0.2
    torch.testing.assert_close(learned.mean, (7 + z @ factor.T).mean(0))


def test_rows_that_are_not_finite_are_left_out():
    x = rows(200, 3)
    spoilt = torch.cat([x, torch.full((1, 3), torch.nan).double()])
    clean, learned = metric.learn(identity(3), x, -x), metric.learn(identity(3), spoilt, -spoilt)
    torch.testing.assert_close(learned.factor, clean.factor)
    assert torch.equal(metric.learn(identity(3), spoilt[-1:], spoilt[-1:]).factor, identity(3).factor)


def test_scores_whose_squares_are_not_finite_leave_the_metric():
    learned = metric.learn(identity(3), rows(20, 3), 1e200 * rows(20, 3, 1))
    assert torch.equal(learned.factor, identity(3).factor)


def test_a_diagonal_metric_scales_each_coordinate():
    """4,000 rows: a standard deviation strays by 1/sqrt(8000) = .011, bound at 6 of it."""
    scales = torch.logspace(0, 3, 6, dtype=torch.float64)
    z = rows(4000, 6, 5)
    learned = metric.learn(identity(6, is_diagonal=True), 7 + z * scales, -z / scales)
    torch.testing.assert_close(learned.factor, scales, rtol=0.07, atol=0)
    torch.testing.assert_close(learned.mean, (7 + z * scales).mean(0))


def test_a_coordinate_whose_scores_vanish_keeps_its_scale():
    x = rows(200, 3)
    learned = metric.learn(identity(3, is_diagonal=True), x, -x * torch.tensor([1.0, 0.0, 1.0]))
    assert float(learned.factor[1]) == 1


def test_where_all_scores_are_equal_the_draws_alone_decide():
    """A uniform density, or one that is linear: C is then 1/2 in white coordinates, of 4,000 rows to some .01."""
    x = rows(4000, 3, 9) @ torch.diag(torch.tensor([1e-3, 1.0, 1e3]).double())
    learned = metric.learn(identity(3), x, torch.ones_like(x))
    white = learned.to_white(x)
    assert float((2 * torch.cov(white.T) - torch.eye(3)).abs().max()) < 0.1


FAR_APART = 1e200 * rows(100, 3, 10)
IN_A_PLANE = rows(100, 3, 11) * torch.tensor([1.0, 1.0, 0.0]).double()


@pytest.mark.parametrize("x", [FAR_APART, IN_A_PLANE, torch.ones(100, 3).double(), 1e308 * rows(100, 3, 12).sign()])
@pytest.mark.parametrize("score", [torch.zeros(100, 3).double(), 1e200 * rows(100, 3, 13), rows(100, 3, 14)])
def test_whatever_chains_found_the_metric_is_a_map_that_can_be_gone_back_by(x, score):
    learned = metric.learn(identity(3), x, score)
    assert metric.is_invertible(learned.factor)
    assert bool(learned.mean.isfinite().all())
