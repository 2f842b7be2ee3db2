"""No distribution at all: only a failure is right."""

import math

import torch
from torch import Tensor

from benchmarks.known.known import Known
from benchmarks.known.shapes import EFFECT, ERROR


def _flat_log_tau(x: Tensor) -> Tensor:
    """Eight schools with a flat prior on log tau: infinite mass at tau -> 0."""
    theta, mu, log_tau = x[:, :8], x[:, 8:9], x[:, 9]
    prior = -0.5 * ((theta - mu) / log_tau.exp()[:, None]).square().sum(1) - 8 * log_tau
    return -0.5 * ((EFFECT - theta) / ERROR).square().sum(1) + prior


def _flat_log_tau_raw(x: Tensor) -> Tensor:
    theta = x[:, 8:9] + x[:, 9:].exp() * x[:, :8]
    return -0.5 * ((EFFECT - theta) / ERROR).square().sum(1) - 0.5 * x[:, :8].square().sum(1)


def _inverse_tau(x: Tensor) -> Tensor:
    """The same over tau, with the prior 1/tau."""
    return _flat_log_tau(torch.cat([x[:, :9], x[:, 9:].log()], 1)) - x[:, 9].log()


def _separable(x: Tensor) -> Tensor:
    """Logistic regression of separable classes, with flat priors."""
    z = torch.tensor([-3.0, -2, -1, 1, 2, 3]).to(x)
    sign = z.sign()
    return torch.nn.functional.logsigmoid(sign * (x[:, :1] + x[:, 1:] * z)).sum(1)


def _unidentified(x: Tensor) -> Tensor:
    """Only the sum is known."""
    return -0.5 * (x.sum(1) - 1).square()


def _pocket(x: Tensor) -> Tensor:
    """N(0, I), NaN in a tenth of it."""
    return torch.where(x[:, 0] > 1.2816, math.nan, -0.5 * x.square().sum(1))


def _rare_pocket(x: Tensor) -> Tensor:
    return torch.where(((x - 0.5).abs() < 0.15).all(1), math.nan, -0.5 * x.square().sum(1))


def _pole(x: Tensor) -> Tensor:
    """`|x|^-3 exp(-|x|^2)` in 2 dimensions: infinite mass at the origin."""
    r2 = x.square().sum(1)
    return -1.5 * r2.log() - r2


IMPROPER = (
    Known("flat", "improper", 2, lambda x: 0 * x.sum(1)),
    Known("flat_in_one_of_three", "improper", 3, lambda x: -0.5 * x[:, :2].square().sum(1)),
    Known("flat_positive", "improper", 2, lambda x: 0 * x.sum(1), support="positive"),
    Known("rising", "improper", 2, lambda x: x.sum(1)),
    Known("exploding", "improper", 2, lambda x: x.square().sum(1)),
    Known("inverse_1d", "improper", 1, lambda x: -0.5 * torch.log1p(x[:, 0] ** 2)),
    Known("inverse_2d", "improper", 2, lambda x: -torch.log1p(x.square().sum(1))),
    Known("reciprocal", "improper", 1, lambda x: -x[:, 0].log(), support="positive"),
    Known("only_a_sum", "improper", 3, _unidentified),
    Known("separable_classes", "improper", 2, _separable),
    Known("flat_log_tau", "improper", 10, _flat_log_tau),
    Known("flat_log_tau_not_centred", "improper", 10, _flat_log_tau_raw),
    Known("inverse_tau", "improper", 10, _inverse_tau, support="real*9, positive"),
    Known("pole", "improper", 2, _pole),
    Known("nan_in_the_bulk", "improper", 2, _pocket),
    Known("nan_in_a_pocket", "improper", 2, _rare_pocket),
    Known("nan_everywhere", "improper", 2, lambda x: x.sum(1) * math.nan),
    Known("nowhere", "improper", 2, lambda x: x.sum(1) * 0 - math.inf),
)
