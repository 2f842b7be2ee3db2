import math

import pytest
import torch

from scorefleet.tasks.mcmc.kernels import langevin, line_integral, mala, metropolis
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS
from scorefleet.tasks.mcmc.kernels.line_integral import GAUSS_LEGENDRE_3, SIMPSON, TRAPEZOID
from scorefleet.tasks.mcmc.kernels.metropolis import State
from scorefleet.tasks.mcmc.streams import Stream

ANGLES = 2 * math.pi * torch.arange(8, dtype=torch.float64) / 8
MODES = 4 * torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)


def ring(x):
    """Eight modes of standard deviation .5 on a ring of radius 4."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = (-(x[:, None] - MODES).square().sum(2) / (2 * 0.25)).logsumexp(1)
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score


def score_only_ring(x):
    """The same without a value."""
    score = ring(x)[1]
    return torch.full_like(score[:, 0], torch.nan), score


def _pairs(step_size):
    """Draws of the ring and what MALA proposes there."""
    generator = torch.Generator().manual_seed(0)
    x = MODES.repeat(500, 1) + 0.5 * torch.randn(4000, 2, dtype=torch.float64, generator=generator)
    state = metropolis.init(x, ring)
    y = mala.propose(torch.randn(4000, 2, dtype=torch.float64, generator=generator), state, step_size)
    return state, metropolis.init(y, ring)


def _acceptance_error(rule, step_size=0.5):
    """`E|min(1, r) - min(1, r_exact)|`."""
    state, proposal = _pairs(step_size)
    integral = line_integral.log_density_difference(score_only_ring, state, proposal, rule)
    guessed = state._replace(value=torch.zeros_like(integral)), proposal._replace(value=integral)
    ratios = (mala.log_acceptance_ratio(*pair, step_size) for pair in (guessed, (state, proposal)))
    first, second = (ratio.clamp(max=0).exp() for ratio in ratios)
    return float((first - second).abs().mean())


def test_finer_rules_are_nearer_to_the_exact_acceptance_on_a_ring_of_eight_modes():
    """Each of the two is at least five times nearer than the coarser one, and the trapezoid is of no use."""
    trapezoid, simpson, gauss = (_acceptance_error(rule) for rule in (TRAPEZOID, SIMPSON, GAUSS_LEGENDRE_3))
    assert gauss < simpson / 5 < trapezoid / 25
    assert simpson < 0.003
    assert gauss < 0.0006
    assert trapezoid > 0.03


@pytest.mark.parametrize(("rule", "degree"), [(TRAPEZOID, 1), (SIMPSON, 3), (GAUSS_LEGENDRE_3, 5)])
def test_rules_are_exact_for_polynomials_up_to_their_degree_and_no_further(rule, degree):
    x, y = torch.tensor([[0.2]], dtype=torch.float64), torch.tensor([[1.7]], dtype=torch.float64)

    def error(power):
        def target(z):
            return z[:, 0] ** (power + 1) / (power + 1), z**power

        state, proposal = metropolis.init(x, target), metropolis.init(y, target)
        integral = line_integral.log_density_difference(target, state, proposal, rule)
        return abs(float(integral - (proposal.value - state.value)))

    assert max(error(power) for power in range(degree + 1)) < 1e-12
    assert error(degree + 1) > 1e-6


def test_a_step_on_a_gaussian_is_the_step_of_mala_without_a_value():
    """A linear score is integrated exactly, so decisions are those of the exact test."""

    def gaussian(x):
        return -1.5 * x.square().sum(1), -3 * x

    def score_only(x):
        return torch.full_like(x[:, 0], torch.nan), -3 * x

    x = torch.randn(500, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    random = Stream(0, 0).at(0, 0)
    exact, exact_info = mala.step(random, metropolis.init(x, gaussian), gaussian, 0.7)
    state, info = line_integral.step(random, metropolis.init(x, score_only), score_only, 0.7)
    torch.testing.assert_close(info.log_ratio, exact_info.log_ratio)
    assert torch.equal(info.is_accepted, exact_info.is_accepted)
    assert 0.1 < float(info.is_accepted.double().mean()) < 0.95
    torch.testing.assert_close((state.x, state.score), (exact.x, exact.score))


def test_mala_itself_refuses_every_step_of_a_score_without_a_value():
    x = MODES.clone()
    state, info = mala.step(Stream(0, 0).at(0, 0), metropolis.init(x, score_only_ring), score_only_ring, 0.1)
    assert torch.equal(state.x, x)
    assert not bool(info.is_finite.any())


def test_a_score_that_is_not_a_number_between_the_points_is_a_rejection():
    def broken(x):
        inside = x.abs().sum(1) < 1
        return torch.zeros_like(x[:, 0]), torch.where(inside[:, None], torch.nan, torch.zeros_like(x))

    state = State(torch.full((64, 1), -2.0), torch.zeros(64), torch.zeros(64, 1))
    new, info = line_integral.step(Stream(0, 0).at(0, 0), state, broken, 16.0, SIMPSON)
    middle = (state.x + new.x)[:, 0].abs() / 2
    assert bool((~info.is_finite).any())
    assert not bool((info.is_accepted & (middle < 1) & ~info.is_finite).any())
    assert torch.equal(new.x[~info.is_finite], state.x[~info.is_finite])


def test_an_unadjusted_step_by_scores_is_that_of_langevin_on_a_gaussian():
    """There the trapezoid is exact, so that the ratio which step sizes are tuned on is the same too."""

    def gaussian(x):
        return -1.5 * x.square().sum(1), -3 * x

    def score_only(x):
        return torch.full_like(x[:, 0], torch.nan), -3 * x

    x = torch.randn(500, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    random = Stream(0, 0).at(0, 0)
    known, known_info = langevin.step(random, metropolis.init(x, gaussian), gaussian, 0.7)
    state, info = line_integral.unadjusted(random, metropolis.init(x, score_only), score_only, 0.7)
    torch.testing.assert_close((state.x, state.score), (known.x, known.score))
    torch.testing.assert_close(info.log_ratio, known_info.log_ratio)
    assert bool(info.is_accepted.all())
    assert float(info.log_ratio.min()) < -0.1


@pytest.mark.parametrize("name", [name for name, kernel in KERNELS.items() if not kernel.needs_value])
def test_kernels_without_a_value_count_their_evaluations_and_are_never_called_exact(name):
    count = 0

    def counting(x):
        nonlocal count
        count += 1
        return score_only_ring(x)

    state = metropolis.init(MODES.clone(), score_only_ring)
    new, info, evaluations = KERNELS[name].transition(Stream(0, 0), 0, 0, state, counting, 0.1, 1.0)
    assert count == evaluations
    assert bool(info.is_accepted.any())
    assert not torch.equal(new.x, state.x)
    assert not KERNELS[name].is_exact
    assert KERNELS[name].flaw


@pytest.mark.parametrize("name", [name for name, kernel in KERNELS.items() if kernel.needs_value])
def test_kernels_that_need_a_value_refuse_every_step_without_one(name):
    state = metropolis.init(MODES.clone(), score_only_ring)
    new, _, _ = KERNELS[name].transition(Stream(0, 0), 0, 0, state, score_only_ring, 0.1, 1.0)
    assert torch.equal(new.x, state.x)
