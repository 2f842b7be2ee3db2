"""Replica exchange on a ladder of three levels over three states, where everything can be enumerated."""

import itertools

import numpy as np
import pytest
import torch

from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.kernels.kernels import Move
from scorefleet.tasks.mcmc.noise_ladder import exchange
from scorefleet.tasks.mcmc.streams import Stream

# Unnormalised log densities of states 0, 1, 2 at three levels; their normalisers differ on purpose.
TABLE = torch.tensor([[0.0, 0.2, 0.1], [3.0, 3.9, 2.7], [2.6, 4.2, 1.4]], dtype=torch.float64)
LEVELS = (0.0, 1.0, 2.0)
MOVES = tuple(Move("mala", step_size) for step_size in (2.0, 1.0, 0.5))
ALL = torch.tensor(list(itertools.product(range(3), repeat=3)))
JOINT = TABLE.log_softmax(1)[torch.arange(3), ALL].sum(1).exp()


def target_at(level):
    return lambda x: (TABLE[int(level), x[:, 0].long()], x * 0 + level)


TARGETS = [target_at(level) for level in LEVELS]


def replicas_at(points):
    states = [metropolis.init(points[:, [k]].double(), target) for k, target in enumerate(TARGETS)]
    return exchange.start(states)


def swapped_law(phase, num_uniforms=4000):
    """The law of the three points after the swaps of a round that starts from the exact joint law: each of the 27
    configurations meets the same evenly spread uniforms.
    """
    uniform = (torch.arange(num_uniforms, dtype=torch.float64) + 0.5) / num_uniforms
    points = ALL.repeat_interleave(num_uniforms, 0)
    uniforms = uniform.repeat(len(ALL))[:, None].expand(-1, 3)
    after, _ = exchange.exchange(uniforms, phase, replicas_at(points), TARGETS)
    code = sum(after.states[k].x[:, 0].long() * 3 ** (2 - k) for k in range(3))
    weight = JOINT.repeat_interleave(num_uniforms) / num_uniforms
    return torch.zeros(27, dtype=torch.float64).scatter_add(0, code, weight)


@pytest.mark.parametrize("phase", [0, 1])
def test_swaps_keep_the_joint_law(phase):
    """Off by at most one of the 4,000 uniforms a configuration."""
    assert float((swapped_law(phase) - JOINT).abs().max()) < 1e-3


@pytest.mark.parametrize("phase", [0, 1])
@pytest.mark.parametrize(
    "planted", ["copied swap", "off-by-one energy", "no energy", "reversed ratio", "one side only"]
)
def test_a_planted_bug_in_the_swap_is_seen(planted, phase, monkeypatch):
    right_swap, right_ratio = exchange.swap, exchange.swap_log_ratio

    def copied(uniform, upper, lower, upper_target, lower_target):
        _, new_lower, is_swapped, probability = right_swap(uniform, upper, lower, upper_target, lower_target)
        return upper, new_lower, is_swapped, probability

    def off_by_one(uniform, upper, lower, upper_target, lower_target):
        level = min(int(lower.score[0, 0]) + 1, 2) if phase == 0 else 0
        return right_swap(uniform, upper, lower, upper_target, target_at(level))

    ratios = {
        "no energy": lambda upper, *_: torch.zeros_like(upper.value),
        "reversed ratio": lambda *states: -right_ratio(*states),
        "one side only": lambda upper, lower, new_upper, new_lower: new_upper.value - upper.value,
    }
    if planted in ratios:
        monkeypatch.setattr(exchange, "swap_log_ratio", ratios[planted])
    else:
        monkeypatch.setattr(exchange, "swap", {"copied swap": copied, "off-by-one energy": off_by_one}[planted])
    with pytest.raises(AssertionError):
        test_swaps_keep_the_joint_law(phase)


@pytest.mark.parametrize("pair", [0, 1])
def test_swap_probability_is_the_ratio_of_joint_probabilities(pair):
    for a, b in itertools.product(range(3), repeat=2):
        points = torch.tensor([[a, b]]).double()
        upper = metropolis.init(points[:, [0]], TARGETS[pair])
        lower = metropolis.init(points[:, [1]], TARGETS[pair + 1])
        *_, probability = exchange.swap(torch.tensor([0.5]).double(), upper, lower, TARGETS[pair], TARGETS[pair + 1])
        p, q = TABLE[pair].softmax(0), TABLE[pair + 1].softmax(0)
        assert float(probability) == pytest.approx(min(1.0, float(p[b] * q[a] / (p[a] * q[b]))))


def test_rejection_rates_are_exact_expectations():
    """100,000 exact draws: the mean has sd below .0016; bound at 6 sd, 2e-9."""
    weighted = [float((JOINT * (1 - pair_probability(i))).sum()) for i in (0, 1)]
    draws = torch.multinomial(JOINT, 100_000, replacement=True, generator=torch.Generator().manual_seed(0))
    replicas = replicas_at(ALL[draws])
    for i in (0, 1):
        _, rejection = exchange.exchange(torch.full((100_000, 3), 0.5), i, replicas, TARGETS)
        assert rejection[i] == pytest.approx(weighted[i], abs=0.01)
        assert np.isnan(rejection[1 - i])


def pair_probability(i):
    upper, lower = ALL[:, i], ALL[:, i + 1]
    ratio = TABLE[i, lower] + TABLE[i + 1, upper] - TABLE[i, upper] - TABLE[i + 1, lower]
    return ratio.clamp(max=0).exp()


def gaussian_at(level):
    return lambda x: (-0.5 * x.square().sum(1) / level, -x / level)


def rounds(num_rounds, num_chains, first=None, phase=0):
    levels = (4.0, 2.0, 1.0)
    x = Stream(1, 1).at(0, 0).normal(num_chains, 2)
    replicas, done = first or exchange.start([metropolis.init(x, gaussian_at(level)) for level in levels]), []
    for r in range(phase, phase + num_rounds):
        replicas, info = exchange.exchange_round(Stream(0, 0), r, replicas, gaussian_at, levels, MOVES, 2)
        done.append(info)
    return replicas, done


def test_caches_are_what_a_fresh_evaluation_of_the_own_level_gives():
    replicas, done = rounds(9, 64)
    for state, level in zip(replicas.states, (4.0, 2.0, 1.0), strict=True):
        value, score = gaussian_at(level)(state.x)
        torch.testing.assert_close(state.value, value, rtol=0, atol=0)
        torch.testing.assert_close(state.score, score, rtol=0, atol=0)
    assert (exchange.rejection_rates(done) > 0).all()
    assert (exchange.rejection_rates(done) < 1).all()


def test_a_run_that_is_cut_in_two_is_the_same_run():
    whole, _ = rounds(8, 32)
    half, _ = rounds(3, 32)
    rest, _ = rounds(5, 32, half, phase=3)
    for one, other in zip(whole.states, rest.states, strict=True):
        torch.testing.assert_close(one.x, other.x, rtol=0, atol=0)
    assert torch.equal(whole.occupant, rest.occupant)
    assert torch.equal(whole.round_trips, rest.round_trips)


def test_every_pair_decides_on_a_number_of_its_own():
    """Four levels with swap ratio 1/e in both pairs: .9 refuses and .1 takes."""
    targets = [lambda x, slope=slope: (slope * x[:, 0], x * 0 + slope) for slope in (1.0, 0.0, 1.0, 0.0)]
    points = (1.0, 0.0, 1.0, 0.0)
    replicas = exchange.start([metropolis.init(torch.full((1, 1), x), f) for x, f in zip(points, targets, strict=True)])
    swapped, _ = exchange.exchange(torch.tensor([[0.9, 0.5, 0.1, 0.5]]), 0, replicas, targets)
    assert swapped.occupant.tolist() == [[0, 1, 3, 2]]


def test_levels_move_on_numbers_of_their_own():
    flat = [lambda x: (x[:, 0] * 0, x * 0)] * 3
    replicas = exchange.start([metropolis.init(torch.zeros(4, 2), target) for target in flat])
    moved, _ = exchange.exchange_round(Stream(0, 0), 0, replicas, lambda level: flat[0], LEVELS, MOVES[:1] * 3, 1)
    for i, j in itertools.combinations(range(3), 2):
        assert (moved.states[i].x != moved.states[j].x).all()


def test_an_index_stays_a_permutation_and_every_replica_travels():
    replicas, _ = rounds(60, 128)
    assert torch.equal(replicas.occupant.sort(1).values, torch.arange(3).repeat(128, 1))
    assert float(replicas.round_trips.float().mean()) > 3


def test_swaps_that_are_always_accepted_make_round_trips_on_schedule():
    """Three equal levels: the first replica is home in the fifth round, and then one comes home in every other."""
    flat = [lambda x: (x[:, 0] * 0, x * 0)] * 3
    replicas = exchange.start([metropolis.init(torch.full((1, 1), float(k)), flat[k]) for k in range(3)])
    trips = []
    for r in range(18):
        replicas, _ = exchange.exchange(torch.full((1, 3), 0.5), r, replicas, flat)
        assert replicas.occupant[0].tolist() == [int(state.x[0, 0]) for state in replicas.states]
        trips.append(int(replicas.round_trips))
    assert trips == [max(0, r // 2 - 1) for r in range(18)]


def test_a_density_that_is_no_number_is_not_swapped_with():
    state = metropolis.init(torch.zeros(4, 1), lambda x: (x[:, 0], x))

    def broken(x):
        return torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0]), x

    _, _, is_swapped, probability = exchange.swap(torch.zeros(4).double(), state, state, broken, broken)
    assert is_swapped.tolist() == [False, False, False, True]
    assert probability.tolist() == [0, 0, 0, 1]


def test_respacing_puts_levels_where_rejections_are():
    levels = exchange.respace((0.0, 1.0, 2.0, 3.0), np.array((0.1, 0.1, 0.7)), 4)
    assert levels[0] == 0.0
    assert levels[-1] == 3.0
    assert levels[1] > 1.5
    assert list(levels) == sorted(levels)
    assert exchange.respace((8.0, 2.0, -4.0), np.array((0.3, 0.3)), 5) == pytest.approx((8, 5, 2, -1, -4))


def test_respacing_bears_pairs_that_never_reject():
    levels = exchange.respace((0.0, 0.5, 1.0), np.array((0.0, 0.4)), 3)
    assert 0.5 < levels[1] < 1.0


def test_too_few_levels_or_rounds_are_refused():
    with pytest.raises(UsageError, match="at least 2"):
        exchange.respace((0.0, 1.0), np.array((0.5,)), 1)
    with pytest.raises(UsageError, match="at least 2"):
        exchange.rejection_rates([])
