import math
import shutil

import pytest
import torch

from scorefleet.tasks.mcmc.kernels import mala, metropolis, passes
from scorefleet.tasks.mcmc.kernels.metropolis import State

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
TYPES = [torch.float32, torch.float64]
STEP_SIZES = [0.3, torch.linspace(0.01, 1.0, 70)[:, None]]


def chains(dtype, dim=5, num_chains=70):
    """A state, a proposal, and noise: any numbers will do, no density has to be behind them."""
    torch.manual_seed(dim)
    rows = [torch.randn(num_chains, dim, dtype=dtype) for _ in range(5)]
    values = [torch.randn(num_chains, dtype=dtype) for _ in range(2)]
    return State(rows[0], values[0], rows[1]), State(rows[2], values[1], rows[3]), rows[4]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("step_size", STEP_SIZES)
@pytest.mark.parametrize("dim", [1, 5, 64])
def test_the_passes_are_the_formulas(dtype, step_size, dim):
    state, proposal, noise = chains(dtype, dim)
    torch.testing.assert_close(passes.propose(noise, state, step_size), mala.propose(noise, state, step_size).to(dtype))
    uniform = torch.rand(70, dtype=torch.float64)
    ratio = mala.log_acceptance_ratio(state, proposal, step_size).to(dtype)
    expected, expected_info = metropolis.metropolis(uniform, state, proposal, ratio)
    chosen, info = passes.decide(uniform, state, proposal, step_size)
    torch.testing.assert_close(info.log_ratio, ratio)
    assert torch.equal(info.is_accepted, expected_info.is_accepted)
    assert torch.equal(info.is_finite, expected_info.is_finite)
    assert all(torch.equal(a, b) for a, b in zip(chosen, expected, strict=True))
    assert 0 < info.is_accepted.sum() < 70


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["value", "score"])
def test_what_is_not_a_number_is_refused_as_in_the_formulas(dtype, bad, where):
    state, proposal, _ = chains(dtype)
    getattr(proposal, where)[3] = bad
    uniform = torch.full((70,), 1e-300, dtype=torch.float64)
    ratio = mala.log_acceptance_ratio(state, proposal, 0.3)
    _, expected = metropolis.metropolis(uniform, state, proposal, ratio)
    chosen, info = passes.decide(uniform, state, proposal, 0.3)
    assert torch.equal(info.is_accepted, expected.is_accepted)
    assert torch.equal(info.is_finite, expected.is_finite)
    assert not info.is_accepted[3]
    assert torch.equal(chosen.x[3], state.x[3])
    assert bool(info.is_finite[3]) == (where == "value" and bad == -math.inf)


def test_states_are_not_written_to_and_need_not_be_contiguous():
    state, proposal, noise = chains(torch.float32)
    before = [tensor.clone() for tensor in (*state, *proposal)]
    turned = State(state.x.T.contiguous().T, state.value, state.score)
    assert not turned.x.is_contiguous()
    torch.testing.assert_close(passes.propose(noise, turned, 0.3), passes.propose(noise, state, 0.3), rtol=0, atol=0)
    uniform = torch.rand(70, dtype=torch.float64)
    for mine, other in zip(
        passes.decide(uniform, turned, proposal, 0.3)[0], passes.decide(uniform, state, proposal, 0.3)[0], strict=True
    ):
        assert torch.equal(mine, other)
    assert all(torch.equal(a, b) for a, b in zip(before, (*state, *proposal), strict=True))


def test_numbers_of_another_precision_are_converted():
    state, proposal, noise = chains(torch.float64)
    uniform = torch.rand(70)
    single = State(*(tensor.float() for tensor in proposal))
    chosen, info = passes.decide(uniform, state, single, 0.3)
    expected, _ = passes.decide(uniform.double(), state, State(*(t.double() for t in single)), 0.3)
    assert torch.equal(chosen.x, expected.x)
    assert 0 < info.is_accepted.sum() < 70
    torch.testing.assert_close(passes.propose(noise.float(), state, 0.3), passes.propose(noise, state, 0.3))


def test_other_types_of_numbers_are_left_to_torch():
    state, _, _ = chains(torch.float16)
    assert not passes.are_possible(state)
