import itertools
import math

import numpy as np
import pytest
import torch

from scorefleet.tasks.ebm import model, noise, objectives
from scorefleet.tasks.ebm.losses import ImplicitLoss
from scorefleet.tasks.ebm.parts import Part
from scorefleet.tasks.ebm.score_matching import (
    at_levels,
    explicit,
    implicit,
    noised_target,
    rademacher,
    score_of,
    sliced,
)

NODES, WEIGHTS = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(80))
PRIOR, MEANS = torch.tensor([0.7, 0.3], dtype=torch.float64), torch.tensor([-1.0, 1.5], dtype=torch.float64)


def _mixture(x, logit_beta, prior, means):
    """Log density of `sum_k prior_k N(sqrt(1-beta) means_k, beta)`: atoms at `means`, noised."""
    signal, beta = noise.signal_level(logit_beta), torch.sigmoid(logit_beta)
    squared = (x - signal[:, None] * means).square() / beta[:, None]
    return (prior.log() - 0.5 * squared - 0.5 * (2 * math.pi * beta).log()[:, None]).logsumexp(1)


def _other(x, logit_beta, theta):
    """A wrong model with three parameters."""
    prior = torch.stack([torch.sigmoid(theta[0]), torch.sigmoid(-theta[0])])
    return _mixture(x, logit_beta, prior, theta[1:])


def _quadrature(level):
    """Rows, noise, levels and probabilities that integrate over the noised atoms to rounding."""
    x = MEANS.repeat_interleave(len(NODES))[:, None]
    eps = NODES.repeat(2)[:, None]
    p = PRIOR.repeat_interleave(len(NODES)) * (WEIGHTS / WEIGHTS.sum()).repeat(2)
    return x, eps, torch.full((len(x),), level, dtype=torch.float64), p


THETAS = [
    torch.tensor(values, dtype=torch.float64) for values in ([0.0, -1.0, 1.0], [1.0, -0.5, 2.0], [-1.0, 0.0, 0.5])
]


@pytest.fixture
def gaussian():
    rows = torch.randn(400, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows = rows @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.8, -0.3], [0.0, 0.0, 0.5]], dtype=torch.float64)
    return rows, torch.linalg.inv(rows.T @ rows / len(rows))


def _normal(precision):
    return lambda x: -0.5 * ((x @ precision) * x).sum(1)


def _all_signs(rows):
    return [torch.tensor(v, dtype=rows.dtype).expand(len(rows), -1) for v in itertools.product((-1.0, 1.0), repeat=3)]


OBJECTIVES = {
    "explicit": lambda score, rows, precision: explicit(score, rows, -rows @ precision),
    "implicit": lambda score, rows, _: implicit(score, rows),
    "sliced": lambda score, rows, _: torch.stack([sliced(score, rows, v) for v in _all_signs(rows)]).mean(0),
}


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_the_minimiser_in_the_gaussian_family_is_the_precision_of_the_rows(gaussian, objective):
    rows, precision = gaussian

    def loss_and_gradient(p):
        p = p.clone().requires_grad_()
        loss = objective(score_of(_normal(p)), rows, precision).mean()
        loss.backward()
        return float(loss.detach()), p.grad

    best, gradient = loss_and_gradient(precision)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-10)
    for wrong in (1.1 * precision, 0.9 * precision, -precision, precision + 0.1 * torch.ones(3, 3)):
        value, gradient = loss_and_gradient(wrong)
        assert value > best + 1e-3
        assert float(gradient.norm()) > 1e-2


def test_implicit_equals_explicit_up_to_the_norm_of_the_known_score():
    """`E|s - s*|^2 - E[|s|^2 + 2 div s] = E|s*|^2`, whatever the model, by quadrature."""
    x, eps, t, p = _quadrature(0.5)
    rows = noise.add_noise(x, eps, t)
    known = score_of(lambda y: _mixture(y, t, PRIOR, MEANS))(rows.requires_grad_()).detach()
    for theta in THETAS:
        score = score_of(at_levels(lambda y, level, theta=theta: _other(y, level, theta), t))
        difference = (p * (explicit(score, rows, known) - implicit(score, rows))).sum()
        torch.testing.assert_close(difference, (p * known.square().sum(1)).sum(), rtol=1e-8, atol=1e-8)


def test_equations_11_15_and_11_16_have_one_minimiser():
    """`beta^2 E|S - S*|^2`, which is (11.15) since `x' + beta S* = sqrt(1-beta) E[x|x']`, differs from (11.16) by a
    number without parameters in it, has the same gradient everywhere and both vanish at the truth.
    """
    x, eps, t, p = _quadrature(0.5)
    rows, beta = noise.add_noise(x, eps, t), torch.sigmoid(t[0])
    known = score_of(lambda y: _mixture(y, t, PRIOR, MEANS))(rows.requires_grad_()).detach()
    truth = torch.cat([(PRIOR[0] / PRIOR[1]).log()[None], MEANS])
    gaps, gradients = [], []
    for theta in (truth, *THETAS):
        theta = theta.clone().requires_grad_()
        score = score_of(at_levels(lambda y, level, theta=theta: _other(y, level, theta), t))
        to_score = beta**2 * (p * explicit(score, rows, known)).sum()
        to_row = (p * objectives.denoising_score_matching(score(rows), eps, t)).sum()
        first, second = (torch.autograd.grad(loss, theta, retain_graph=True)[0] for loss in (to_score, to_row))
        torch.testing.assert_close(first, second, rtol=1e-7, atol=1e-8)
        gaps.append(float((to_row - to_score).detach()))
        gradients.append(float(first.norm()))
    assert max(gaps) - min(gaps) < 1e-8
    assert gaps[0] > 0.01
    assert gradients[0] < 1e-8 < 1e-2 < min(gradients[1:])


def _wide(x, logit_beta, prior, means, variance=1.0):
    """Log density of rows of `sum_k prior_k N(means_k, variance)`, noised: a variance in the place of atoms."""
    signal, beta = noise.signal_level(logit_beta)[:, None], torch.sigmoid(logit_beta)[:, None]
    spread = signal.square() * variance + beta
    return (prior.log() - 0.5 * (x - signal * means).square() / spread - 0.5 * spread.log()).logsumexp(1)


@pytest.mark.parametrize("information", [1.0, 4.0])
@pytest.mark.parametrize("level", [-8.0, -2.0, 0.0, 3.0])
def test_explicit_on_noised_rows_has_the_gradients_of_the_distance_to_the_noised_score(level, information):
    """By quadrature over rows and noise, to 1e-5, whatever J: the gap has no parameters in it, and gradients vanish at
    the truth. The known score of the rows, put in the place of the noised one as it is, has its minimiser elsewhere.
    """
    x = (MEANS[:, None] + NODES).reshape(-1)
    p = (PRIOR[:, None] * WEIGHTS / WEIGHTS.sum()).reshape(-1)
    x, eps = x.repeat_interleave(len(NODES))[:, None], NODES.repeat(len(x))[:, None]
    p = p.repeat_interleave(len(NODES)) * (WEIGHTS / WEIGHTS.sum()).repeat(len(p))
    t, clean = torch.full((len(x),), level, dtype=torch.float64), torch.full((len(x),), -40.0, dtype=torch.float64)
    noisy = noise.add_noise(x, eps, t).requires_grad_()
    known = score_of(lambda y: _wide(y, clean, PRIOR, MEANS))(x.requires_grad_()).detach()
    noised = score_of(lambda y: _wide(y, t, PRIOR, MEANS))(noisy).detach()
    target, truth, gaps = noised_target(known, eps, t, information), torch.cat([PRIOR.logit()[:1], MEANS]), []
    for theta in (truth, *THETAS):
        theta = theta.clone().requires_grad_()
        prior = torch.stack([torch.sigmoid(theta[0]), torch.sigmoid(-theta[0])])
        score = score_of(lambda y, prior=prior, theta=theta: _wide(y, t, prior, theta[1:]))
        losses = [(p * explicit(score, noisy, to)).sum() for to in (noised, target, known)]
        first, second, third = (torch.autograd.grad(loss, theta, retain_graph=True)[0] for loss in losses)
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)
        gaps.append(float((losses[1] - losses[0]).detach()))
        if theta.equal(truth):
            assert float(second.norm()) < 1e-5
            assert level < -4 or float(third.norm()) > 1e-2
    assert max(gaps) - min(gaps) < 1e-5 * max(1.0, gaps[0])


def test_the_explicit_target_of_gaussian_rows_is_their_noised_score_row_by_row():
    """J = 1/v leaves the target without variance."""
    x, eps = torch.randn(2, 50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t, variance = torch.linspace(-8, 8, 50, dtype=torch.float64), 0.04
    target = noised_target(-0.2 * x / variance, eps, t, 1 / variance)
    spread = noise.signal_level(t).square() * variance + torch.sigmoid(t)
    torch.testing.assert_close(target, -noise.add_noise(0.2 * x, eps, t) / spread[:, None])


def test_signs_of_probability_one_half_have_mean_zero():
    """60,000 signs: six standard errors are .0245 (false alarm 2e-9), and only -1 and +1 occur."""
    probes = rademacher(torch.rand(20_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    assert set(probes.flatten().tolist()) == {-1.0, 1.0}
    assert abs(float(probes.mean())) < 0.0245


def test_sliced_is_unbiased_for_exact_row_by_row():
    torch.manual_seed(0)
    network = _network()
    rows, t = torch.randn(5, 3, dtype=torch.float64), torch.linspace(-2, 2, 5, dtype=torch.float64)
    score = score_of(at_levels(network, t))
    each = torch.stack([sliced(score, rows, v) for v in _all_signs(rows)])
    torch.testing.assert_close(each.mean(0), implicit(score, rows))
    assert float(each.detach().std(0).min()) > 1e-3


@pytest.mark.parametrize("energy", ["scalar_head", "inner_product"])
def test_gradients_in_all_weights_equal_finite_differences(energy):
    """Along a random direction of each weight: third derivatives, which torch's fused layer norm has wrong."""
    torch.manual_seed(0)
    network = _network(energy)
    rows, t = torch.randn(6, 3, dtype=torch.float64), torch.linspace(-1, 1, 6, dtype=torch.float64)
    loss = ImplicitLoss(network, 0.0)
    noisy, h = torch.zeros_like(rows), 1e-5

    def value():
        return loss(rows, noisy, t, None, Part((0, 0), 0, 0, len(rows)))[0]

    for weight in network.parameters():
        (gradient,) = torch.autograd.grad(value(), weight)
        direction, sides = torch.randn_like(weight), []
        for sign in (h, -h):
            with torch.no_grad():
                weight += sign * direction
            sides.append(float(value().detach()))
            with torch.no_grad():
                weight -= sign * direction
        assert math.isclose(float((gradient * direction).sum()), (sides[0] - sides[1]) / (2 * h), rel_tol=1e-5)


def _network(energy="scalar_head"):
    network = model.build(3, energy, 8, 1).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network
