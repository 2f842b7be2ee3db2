"""What no law can show: each kernel's ratio against an independent one, its caches, and BlackJAX on the same noise."""

import math
from functools import partial

import blackjax
import jax
import numpy as np
import pytest
import torch

from scorefleet.tasks.mcmc.kernels import gibbs, hmc, langevin, lecture_mala, mala, metropolis, random_walk
from scorefleet.tasks.mcmc.kernels.kernels import Move
from scorefleet.tasks.mcmc.noise_ladder import annealing
from scorefleet.tasks.mcmc.streams import Random, Stream

KERNELS = [mala, lecture_mala, random_walk, gibbs, langevin]
ADJUSTED = KERNELS[:4]
NUM_CHAINS, DIM = 64, 3


def name(kernel):
    return kernel.__name__.rpartition(".")[2]


def log_density(x):
    """Asymmetric and not separable: no term of a ratio vanishes."""
    return -0.5 * x[:, 0] ** 2 - 2 * (x[:, 1] - x[:, 0] ** 2) ** 2 - 0.25 * x[:, 2] ** 4 + 0.3 * x.sum(1).sin()


def target(x):
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = log_density(x)
        (score,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), score


def start(seed=0, num_chains=NUM_CHAINS):
    x = Stream(seed, 0, "start").at(0, 0).normal(num_chains, DIM).double()
    return metropolis.init(x, target)


def log_q(kernel, to, origin, step_size):
    """Log density of the proposal, up to what both directions share, by torch.distributions in float64."""
    drift = {"mala": 0.5, "langevin": 0.5, "lecture_mala": 1.0, "random_walk": 0.0, "gibbs": 0.0}[name(kernel)]
    proposal = torch.distributions.Normal(origin.x + drift * step_size * origin.score, math.sqrt(step_size))
    return proposal.log_prob(to.x).sum(1)


class Recorded:
    """A target that remembers where it was asked, which is what a kernel proposed."""

    def __init__(self):
        self.asked = []

    def __call__(self, x):
        self.asked.append(x)
        return target(x)


@pytest.mark.parametrize("kernel", KERNELS, ids=name)
@pytest.mark.parametrize("step_size", [0.01, 0.3, 1.5])
def test_the_log_ratio_of_a_step_is_that_of_torch_distributions_in_float64(kernel, step_size):
    state, recorded = start(), Recorded()
    _, info = kernel.step(Stream(1, 0).at(0, 0), state, recorded, step_size)
    (y,) = recorded.asked
    proposal = metropolis.init(y, target)
    backward, forward = log_q(kernel, state, proposal, step_size), log_q(kernel, proposal, state, step_size)
    torch.testing.assert_close(info.log_ratio, proposal.value + backward - state.value - forward)


@pytest.mark.parametrize("kernel", KERNELS, ids=name)
def test_proposals_have_the_mean_and_variance_they_are_scored_with(kernel):
    """40,000 proposals from one point: errors of means and variances of standardised moves have sd .005 and .0071 (and
    .009, .03 where a coordinate moves in one step of three); bound at 6 sd, false alarm 2e-9 each.
    """
    num_chains, step_size = 40_000, 0.3
    state = metropolis.init(torch.tensor([[0.4, -0.3, 0.8]], dtype=torch.float64).expand(num_chains, DIM), target)
    recorded = Recorded()
    kernel.step(Stream(2, 0).at(0, 0), state, recorded, step_size)
    drift = {"mala": 0.5, "langevin": 0.5, "lecture_mala": 1.0, "random_walk": 0.0, "gibbs": 0.0}[name(kernel)]
    moves = (recorded.asked[0] - state.x - drift * step_size * state.score) / math.sqrt(step_size)
    if kernel is gibbs:
        assert ((moves != 0).sum(1) == 1).all()
        assert (moves != 0).double().mean(0).sub(1 / DIM).abs().max() < 6 * math.sqrt(2 / 9 / num_chains)
        moves = moves[moves != 0][:, None]
    assert moves.mean(0).abs().max() < 6 / math.sqrt(num_chains)
    assert moves.var(0).sub(1).abs().max() < 6 * math.sqrt(2 / num_chains)


@pytest.mark.parametrize("kernel", ADJUSTED, ids=name)
def test_each_chain_decides_on_its_own_uniform_number(kernel):
    state, random = start(), Stream(3, 0).at(0, 0)
    moved, info = kernel.step(random, state, target, 0.1)
    expected = random.uniform(NUM_CHAINS).log() < info.log_ratio
    assert torch.equal(info.is_accepted, expected)
    assert torch.equal((moved.x != state.x).any(1), expected)
    assert 0.2 < expected.double().mean() < 0.95


@pytest.mark.parametrize("kernel", KERNELS, ids=name)
def test_the_cached_density_and_score_are_what_a_fresh_evaluation_gives(kernel):
    state = start()
    for k in range(30):
        state, info = kernel.step(Stream(4, 0).at(0, k), state, target, 0.03)
        fresh = metropolis.init(state.x, target)
        torch.testing.assert_close(state.value, fresh.value, rtol=0, atol=0)
        torch.testing.assert_close(state.score, fresh.score, rtol=0, atol=0)
        assert info.is_finite.all()


@pytest.mark.parametrize("kernel", KERNELS, ids=name)
def test_a_step_asks_the_target_once_and_is_a_function_of_its_arguments(kernel):
    state, recorded = start(), Recorded()
    before = [part.clone() for part in state]
    first, _ = kernel.step(Stream(5, 0).at(0, 0), state, recorded, 0.3)
    again, _ = kernel.step(Stream(5, 0).at(0, 0), state, target, 0.3)
    other, _ = kernel.step(Stream(5, 0).at(0, 1), state, target, 0.3)
    assert len(recorded.asked) == 1
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, other.x)
    assert all(torch.equal(part, old) for part, old in zip(state, before, strict=True))


@pytest.mark.parametrize("kernel", KERNELS, ids=name)
def test_one_step_size_a_chain_does_what_each_would_do_alone(kernel):
    state, sizes = start(), torch.tensor([0.1, 0.9], dtype=torch.float64).repeat(NUM_CHAINS // 2)[:, None]
    random = Stream(6, 0).at(0, 0)
    mixed, info = kernel.step(random, state, target, sizes)
    for size in (0.1, 0.9):
        alone, alone_info = kernel.step(random, state, target, size)
        has_size = sizes[:, 0] == size
        torch.testing.assert_close(mixed.x[has_size], alone.x[has_size])
        torch.testing.assert_close(info.log_ratio[has_size], alone_info.log_ratio[has_size])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kernel", KERNELS, ids=name)
def test_a_step_keeps_the_precision_of_its_chains(kernel, dtype):
    state = metropolis.init(start().x.to(dtype), target)
    moved, _ = kernel.step(Stream(7, 0).at(0, 0), state, target, 0.3)
    assert {part.dtype for part in moved} == {dtype}


def broken_at_the_right(bad):
    """A density that is `bad` where the first coordinate is positive."""

    def broken(x):
        value, score = target(x)
        return torch.where(x[:, 0] > 0, bad, value), score

    return broken


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kernel", KERNELS, ids=name)
def test_no_kernel_enters_where_the_density_is_not_a_number(kernel, bad):
    state, num_refused = start(), 0
    state = metropolis.init(-state.x.abs(), broken_at_the_right(bad))
    for k in range(5):
        state, info = kernel.step(Stream(8, 0).at(0, k), state, broken_at_the_right(bad), 0.5)
        num_refused += int((~info.is_finite).sum())
    assert (state.x[:, 0] <= 0).all()
    assert (num_refused > 0) == (bad != -math.inf)


def test_unadjusted_langevin_takes_every_proposal_that_is_a_number():
    state, recorded = start(), Recorded()
    moved, info = langevin.step(Stream(9, 0).at(0, 0), state, recorded, 1.5)
    assert info.is_accepted.all()
    assert torch.equal(moved.x, recorded.asked[0])
    assert info.log_ratio.min() < -1


def test_scores_are_the_derivatives_by_finite_differences():
    state = start()
    for axis in range(DIM):
        h = 1e-6 * torch.eye(DIM, dtype=torch.float64)[axis]
        difference = (log_density(state.x + h) - log_density(state.x - h)) / 2e-6
        torch.testing.assert_close(state.score[:, axis], difference, rtol=1e-6, atol=1e-6)


def test_the_steps_of_a_level_all_have_the_frozen_step_size():
    stream, state = Stream(10, 0), start()
    adjusted, stats = annealing.adjust(stream, 2, state, target, Move("mala", 0.4), 12)
    accepted = torch.zeros(NUM_CHAINS, dtype=torch.int32)
    for k in range(12):
        state, info = mala.step(stream.at(2, k + 1), state, target, 0.4)
        accepted += info.is_accepted
    torch.testing.assert_close(adjusted.x, state.x, rtol=0, atol=0)
    assert torch.equal(stats.accepted, accepted)


# BlackJAX 1.7 is the peer: of one key it makes the noise and then the uniform.


def jax_log_density(x):
    squares = -0.5 * x[0] ** 2 - 2 * (x[1] - x[0] ** 2) ** 2 - 0.25 * x[2] ** 4
    return squares + 0.3 * jax.numpy.sin(x.sum())


class Given(Random):
    """Random numbers that somebody else drew."""

    def __init__(self, noise, uniform):
        super().__init__((0, 0), 0, 0)
        object.__setattr__(self, "given", (torch.tensor(noise), torch.tensor(uniform)))

    def normal(self, *shape):
        assert self.given[0].shape == shape
        return self.given[0]

    def uniform(self, *shape):
        assert self.given[1].shape == shape
        return self.given[1]


def ours_and_theirs(kernel, step_size):
    """Our step and BlackJAX's; its Langevin steps are in halves of ours, and its walk and trajectories in roots."""
    root = math.sqrt(step_size)
    if kernel is mala:
        return mala.step, blackjax.mala(jax_log_density, step_size / 2), step_size
    if kernel is random_walk:
        return random_walk.step, blackjax.normal_random_walk(jax_log_density, root * jax.numpy.ones(DIM)), step_size
    return partial(hmc.step, num_leapfrogs=3), blackjax.hmc(jax_log_density, root, jax.numpy.ones(DIM), 3), root


@pytest.mark.parametrize("kernel", [mala, random_walk, hmc], ids=name)
def test_one_step_is_that_of_blackjax_on_the_same_noise(kernel):
    state = metropolis.init(start().x.float(), target)
    step, peer, step_size = ours_and_theirs(kernel, 0.2)

    @jax.jit
    @jax.vmap
    def one_step(key, x):
        moved, info = peer.step(key, peer.init(x))
        of_noise, of_uniform = jax.random.split(key)
        noise, uniform = jax.random.normal(of_noise, (DIM,)), jax.random.uniform(of_uniform)
        return moved.position, info.is_accepted, info.acceptance_rate, noise, uniform

    keys = jax.random.split(jax.random.key(0, impl="unsafe_rbg"), NUM_CHAINS)
    position, is_accepted, probability, *numbers = map(np.array, one_step(keys, state.x.numpy()))
    ours, info = step(Given(*numbers), state, target, step_size)
    torch.testing.assert_close(ours.x, torch.tensor(position), rtol=1e-5, atol=1e-5)
    assert info.is_accepted.tolist() == is_accepted.tolist()
    ours_probability = metropolis.acceptance_probability(info)
    torch.testing.assert_close(ours_probability, torch.tensor(probability), rtol=2e-3, atol=2e-4)
    assert 0.2 < is_accepted.mean() < 0.95
