import math

import pytest
import torch

from scorefleet.tasks.mcmc.kernels import hmc, metropolis
from scorefleet.tasks.mcmc.streams import Stream


def banana(x):
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = -0.5 * x[:, 0] ** 2 - 2 * (x[:, 1] - x[:, 0] ** 2) ** 2 + 0.3 * x.sum(1).sin()
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score


def start(num_chains=50, dtype=torch.float64):
    x = Stream(1, 0).at(0, 0).normal(num_chains, 2).to(dtype)
    return metropolis.init(x, banana), Stream(1, 0).at(0, 1).normal(num_chains, 2).to(dtype)


def test_the_leapfrog_returns_when_the_momentum_is_turned_round():
    state, momentum = start()
    there, final, _ = hmc.leapfrog(state, momentum, banana, 0.1, 7)
    back, momentum_back, _ = hmc.leapfrog(there, -final, banana, 0.1, 7)
    assert float((there.x - state.x).abs().min()) > 1e-4
    torch.testing.assert_close(back.x, state.x, rtol=0, atol=1e-10)
    torch.testing.assert_close(-momentum_back, momentum, rtol=0, atol=1e-10)


def test_the_leapfrog_keeps_volume():
    """The Jacobian by central differences, whose error is of the order of the square of 1e-5."""
    state, momentum = start(1)
    point = torch.cat([state.x[0], momentum[0]])
    shifts = 1e-5 * torch.eye(4, dtype=torch.float64)
    ends = []
    for points in (point + shifts, point - shifts):
        end, final, _ = hmc.leapfrog(metropolis.init(points[:, :2], banana), points[:, 2:], banana, 0.2, 3)
        ends.append(torch.cat([end.x, final], 1))
    jacobian = (ends[0] - ends[1]) / 2e-5
    assert float((jacobian - torch.eye(4)).abs().max()) > 0.1
    assert float(jacobian.det()) == pytest.approx(1.0, abs=1e-7)


def test_the_energy_error_is_of_second_order_in_the_step():
    state, momentum = start()
    errors = []
    for num_leapfrogs in (40, 80):
        end, final, _ = hmc.leapfrog(state, momentum, banana, 1.0 / num_leapfrogs, num_leapfrogs)
        errors.append(float(hmc.log_acceptance_ratio(state, momentum, end, final).abs().median()))
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("frequency", [1.0, 0.5])
def test_a_leapfrog_with_the_frequency_of_a_normal_turns_it_without_an_error(frequency):
    """`(w x, p)` by `2 atan(w e/2)` a step, about the origin for N(0, I/w^2), and about any other mean too."""
    mean = torch.tensor([0.7, -2.0]).double()
    normal = lambda x: (-0.5 * (frequency * (x - mean)).square().sum(1), -(frequency**2) * (x - mean))  # noqa: E731
    state, momentum = metropolis.init(Stream(1, 0).at(0, 0).normal(50, 2).double(), normal), start()[1]
    end, final, _ = hmc.leapfrog(state, momentum, normal, 0.9, 3, frequency)
    angle = torch.tensor(3 * 2 * math.atan(frequency * 0.9 / 2), dtype=torch.float64)
    u = frequency * (state.x - mean)
    torch.testing.assert_close(frequency * (end.x - mean), u * angle.cos() + momentum * angle.sin())
    torch.testing.assert_close(final, momentum * angle.cos() - u * angle.sin())
    assert float(hmc.log_acceptance_ratio(state, momentum, end, final).abs().max()) < 1e-12


@pytest.mark.parametrize("frequency", [0.7, 1.0])
def test_a_leapfrog_of_any_frequency_returns_and_keeps_volume(frequency):
    """The Jacobian by central differences, whose error is of the order of the square of 1e-5."""
    state, momentum = start()
    there, final, _ = hmc.leapfrog(state, momentum, banana, 0.1, 7, frequency)
    back, _, _ = hmc.leapfrog(there, -final, banana, 0.1, 7, frequency)
    torch.testing.assert_close(back.x, state.x, rtol=0, atol=1e-9)
    point, shifts, ends = torch.cat([state.x[0], momentum[0]]), 1e-5 * torch.eye(4).double(), []
    for points in (point + shifts, point - shifts):
        start_there = metropolis.init(points[:, :2], banana)
        end, final, _ = hmc.leapfrog(start_there, points[:, 2:], banana, 0.2, 3, frequency)
        ends.append(torch.cat([end.x, final], 1))
    assert float(((ends[0] - ends[1]) / 2e-5).det()) == pytest.approx(1.0, abs=1e-7)


def test_the_momentum_and_the_state_given_are_left_as_they_were():
    state, momentum = start()
    before = [tensor.clone() for tensor in (*state, momentum)]
    hmc.leapfrog(state, momentum, banana, 0.1, 3)
    for tensor, copy in zip((*state, momentum), before, strict=True):
        assert torch.equal(tensor, copy)


def test_each_chain_may_have_its_own_step_size():
    state, _ = start(4)
    sizes = torch.tensor([[0.05], [0.1], [0.2], [0.3]], dtype=torch.float64)
    together, _ = hmc.step(Stream(0, 0).at(0, 0), state, banana, sizes, 3)
    for i, size in enumerate(sizes[:, 0].tolist()):
        alone, _ = hmc.step(Stream(0, 0).at(0, 0), state, banana, size, 3)
        torch.testing.assert_close(alone.x[i], together.x[i], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_cached_density_is_that_of_a_fresh_evaluation(dtype):
    state, _ = start(dtype=dtype)
    for k in range(10):
        state, info = hmc.step(Stream(0, 0).at(0, k), state, banana, 0.3, 4)
    fresh = metropolis.init(state.x, banana)
    assert state.x.dtype == dtype
    torch.testing.assert_close(state.value, fresh.value, rtol=0, atol=0)
    torch.testing.assert_close(state.score, fresh.score, rtol=0, atol=0)
    assert 0 < float(info.is_accepted.double().mean()) <= 1


def test_a_trajectory_that_leaves_the_numbers_is_rejected_and_counted():
    def holed(x):
        value, score = banana(x)
        return torch.where(x[:, 0] > 0, torch.nan, value), torch.where(x[:, :1] > 0, torch.nan, score)

    x = torch.tensor([[-0.01, 0.0]] * 200, dtype=torch.float64)
    state = metropolis.init(x, holed)
    moved, info = hmc.step(Stream(0, 0).at(0, 0), state, holed, 0.3, 2)
    assert 0 < int((~info.is_finite).sum()) < 200
    assert torch.equal(moved.x[~info.is_finite], x[~info.is_finite])
    assert bool(moved.x.isfinite().all())


def test_a_trajectory_that_diverges_is_rejected_and_not_the_fault_of_the_density():
    """Steps of 3 on a scale of .1 double the distance many times over, until x is no number."""
    narrow = lambda x: (-50 * x.square().sum(1), -100 * x)  # noqa: E731
    state = metropolis.init(torch.full((100, 2), 0.1, dtype=torch.float64), narrow)
    moved, info = hmc.step(Stream(0, 0).at(0, 0), state, narrow, 3.0, 200)
    assert bool(info.is_finite.all())
    assert not bool(info.is_accepted.any())
    assert torch.equal(moved.x, state.x)
    assert not bool(metropolis.acceptance_probability(info).any())


def test_one_trajectory_equals_that_of_blackjax_on_the_same_momentum():
    jax = pytest.importorskip("jax")
    integrators = pytest.importorskip("blackjax.mcmc.integrators")
    metrics = pytest.importorskip("blackjax.mcmc.metrics")
    state, momentum = start(1, torch.float32)
    end, final, _ = hmc.leapfrog(state, momentum, banana, 0.2, 3)

    def log_density(x):
        return -0.5 * x[0] ** 2 - 2 * (x[1] - x[0] ** 2) ** 2 + 0.3 * jax.numpy.sin(x.sum())

    kinetic = metrics.gaussian_euclidean(jax.numpy.ones(2)).kinetic_energy
    verlet = integrators.velocity_verlet(log_density, kinetic)
    x, p = jax.numpy.array(state.x[0].numpy()), jax.numpy.array(momentum[0].numpy())
    theirs = integrators.IntegratorState(x, p, log_density(x), jax.grad(log_density)(x))
    for _ in range(3):
        theirs = verlet(theirs, 0.2)
    assert end.x[0].tolist() == pytest.approx(theirs.position.tolist(), rel=1e-4)
    assert final[0].tolist() == pytest.approx(theirs.momentum.tolist(), rel=1e-4)
    expected = theirs.logdensity - log_density(x) + 0.5 * (p @ p - theirs.momentum @ theirs.momentum)
    ratio = hmc.log_acceptance_ratio(state, momentum, end, final)
    assert float(ratio[0]) == pytest.approx(float(expected), abs=1e-4)
