"""Posteriors with known moments: what a statistician would hand to a sampler.

Each density is written once, for torch and for jax.numpy: `log_density(xp, x)` with `x` [..., dim], `xp` the library.
Moments are analytic; eight schools' are by quadrature over log tau, given which all else is Gaussian. Logistic
regression has none, and is held against a long run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn import datasets

from scorefleet.tasks.mcmc import targets
from scorefleet.tasks.mcmc.kernels.metropolis import Target


@dataclass(frozen=True)
class Posterior:
    """A log density in nats, up to a constant, and the mean and standard deviation of each coordinate if known."""

    dim: int
    log_density: Callable[[Any, Any], Any]
    mean: np.ndarray | None = None
    sd: np.ndarray | None = None

    def target(self) -> Target:
        """In torch, float64."""
        return targets.from_log_density(lambda x: self.log_density(torch, x))


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Posterior:
    """N(mean, covariance)."""
    precision = np.linalg.inv(covariance)

    def log_density(xp, x):
        away = x - xp.asarray(mean)
        return -0.5 * ((away @ xp.asarray(precision)) * away).sum(-1)

    return Posterior(len(mean), log_density, mean, np.sqrt(np.diag(covariance)))


def rotated_gaussian(dim: int = 100, condition: float = 1000.0) -> Posterior:
    """Variances from 1 to `condition`, in equal ratios, in a random rotation."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((dim, dim)))
    return gaussian(np.zeros(dim), rotation * np.geomspace(1, condition, dim) @ rotation.T)


def linear_regression(prior_sd: float = 1.0, noise_sd: float = 0.7) -> Posterior:
    """Standardised diabetes progression on 10 standardised, correlated measurements and an intercept."""
    x, y = datasets.load_diabetes(return_X_y=True)
    design = np.c_[np.ones(len(x)), (x - x.mean(0)) / x.std(0)]
    covariance = np.linalg.inv(design.T @ design / noise_sd**2 + np.eye(11) / prior_sd**2)
    return gaussian(covariance @ design.T @ ((y - y.mean()) / y.std()) / noise_sd**2, covariance)


def logistic_regression(prior_sd: float = 1.0) -> Posterior:
    """Malignancy on 30 standardised, correlated measurements of breast tumours and an intercept."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    design = np.c_[np.ones(len(x)), (x - x.mean(0)) / x.std(0)]
    signed = (2.0 * y - 1)[:, None] * design

    def log_density(xp, x):
        margin = x @ xp.asarray(signed.T)
        return -xp.logaddexp(0 * margin, -margin).sum(-1) - 0.5 * ((x / prior_sd) ** 2).sum(-1)

    return Posterior(31, log_density)


SCHOOLS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12]), np.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def eight_schools(is_centred: bool) -> Posterior:
    """`y_j ~ N(theta_j, s_j)`, `theta_j ~ N(mu, tau)`, `mu ~ N(0, 5)`, `tau ~ half-Cauchy(5)` (Rubin 1981), in
    `(mu, ln tau, theta)`, or with `(theta - mu)/tau` in place of theta.
    """

    def log_density(xp, x):
        mu, log_tau, rest = x[..., :1], x[..., 1:2], x[..., 2:]
        tau = xp.exp(log_tau)
        theta, deviation = (rest, (rest - mu) / tau) if is_centred else (mu + tau * rest, rest)
        jacobian = -8 * log_tau if is_centred else 0 * log_tau
        prior = log_tau + jacobian - xp.log1p((tau / 5) ** 2) - 0.5 * (mu / 5) ** 2
        y, s = (xp.asarray(a) for a in SCHOOLS)
        return prior[..., 0] - 0.5 * (deviation**2).sum(-1) - 0.5 * (((y - theta) / s) ** 2).sum(-1)

    return Posterior(10, log_density, *schools_moments(is_centred))


def schools_moments(is_centred: bool) -> tuple[np.ndarray, np.ndarray]:
    """By quadrature over ln tau: given tau, (mu, (theta - mu)/tau) is Gaussian, with its evidence."""
    y, s = SCHOOLS
    grid = np.linspace(-16, 8, 4001)
    log_weight, first, second = [], [], []
    for log_tau in grid:
        tau = math.exp(log_tau)
        design = np.c_[np.ones(8), tau * np.eye(8)] / s[:, None]
        precision = design.T @ design + np.diag([1 / 25, *np.ones(8)])
        covariance = np.linalg.inv(precision)
        mean = covariance @ design.T @ (y / s)
        log_evidence = 0.5 * (mean @ precision @ mean - np.linalg.slogdet(precision)[1])
        log_weight.append(log_evidence + log_tau - math.log1p((tau / 5) ** 2))
        to_rest = np.c_[np.ones(8), tau * np.eye(8)] if is_centred else np.c_[np.zeros(8), np.eye(8)]
        linear = np.r_[np.eye(9)[:1], np.zeros((1, 9)), to_rest]
        conditional = linear @ mean + log_tau * np.eye(10)[1]
        first.append(conditional)
        second.append(conditional**2 + np.diag(linear @ covariance @ linear.T))
    weight = np.exp(np.array(log_weight) - max(log_weight))
    weight /= weight.sum()
    mean = weight @ np.array(first)
    return mean, np.sqrt(weight @ np.array(second) - mean**2)


def banana(curvature: float = 0.03) -> Posterior:
    """`x_1 ~ N(0, 10)`, `x_2 ~ N(c (x_1^2 - 100), 1)` (Haario, Saksman & Tamminen 2001)."""

    def log_density(xp, x):
        bent = x[..., 1] - curvature * (x[..., 0] ** 2 - 100)
        return -0.5 * (x[..., 0] / 10) ** 2 - 0.5 * bent**2

    return Posterior(2, log_density, np.zeros(2), np.array([10, math.sqrt(1 + 2 * curvature**2 * 1e4)]))


def funnel(dim: int = 10) -> Posterior:
    """`v ~ N(0, 3)`, the other coordinates `N(0, exp(v/2))` (Neal 2003)."""

    def log_density(xp, x):
        v, rest = x[..., 0], x[..., 1:]
        return -0.5 * (v / 3) ** 2 - 0.5 * (dim - 1) * v - 0.5 * (rest**2).sum(-1) * xp.exp(-v)

    return Posterior(dim, log_density, np.zeros(dim), np.r_[3.0, np.full(dim - 1, math.exp(9 / 4))])


def mixture(distance: float = 6.0) -> Posterior:
    """`.8 N(0, I) + .2 N((distance, 0), I)` in two dimensions."""

    def log_density(xp, x):
        near = math.log(0.8) - 0.5 * (x**2).sum(-1)
        far = math.log(0.2) - 0.5 * ((x - xp.asarray(np.array([distance, 0.0]))) ** 2).sum(-1)
        return xp.logaddexp(near, far)

    sd = np.array([math.sqrt(1 + 0.16 * distance**2), 1.0])
    return Posterior(2, log_density, np.array([0.2 * distance, 0.0]), sd)


def all_posteriors() -> dict[str, Posterior]:
    """By name, in the order of the table."""
    return {
        "linear regression": linear_regression(),
        "logistic regression": logistic_regression(),
        "eight schools, non-centred": eight_schools(is_centred=False),
        "eight schools, centred": eight_schools(is_centred=True),
        "rotated Gaussian": rotated_gaussian(),
        "banana": banana(),
        "funnel": funnel(),
        "mixture": mixture(),
    }
