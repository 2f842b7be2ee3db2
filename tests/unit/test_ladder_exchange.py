import dataclasses
import math

import pytest
import safetensors.torch
import torch

from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.noise_ladder import exchange, ladder_exchange
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder, Tuning, tune
from scorefleet.tasks.mcmc.noise_ladder.program import (
    Chains,
    Program,
    arrived,
    descend_ladder,
    first_segment,
    next_segment,
)
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.sampling.draws import exchange_facts, summarise_exchange
from tests.cuts import cuts_of

LEVELS = (4.0, 0.0, -2.0, -6.0)
LADDER = Ladder(LEVELS, (1.5, 0.9, 0.4, 0.2), (1.0, 1.5, 3.0, 6.0), exchanged=(0, 2, 3))


def at(level):
    """N(0, v I), whose variance falls with the noise, times a constant of the level."""
    variance = 0.1 + 0.9 / (1 + math.exp(-level))
    return lambda x: (-0.5 * x.square().sum(1) / variance + level, -x / variance)


def program(**changes):
    settings = {
        "seed": 1,
        "purpose": "draws",
        "ladder": LADDER,
        "steps_per_level": 3,
        "block_size": 32,
        "dim": 2,
        "num_draws": 6,
        "thinning": 3,
        "draws_per_segment": 2,
        "exchange_rounds": 5,
    }
    return Program(**(settings | changes))


def all_segments(settings, target_at=at):
    """Every segment of a block, each from what the one before it left in a file."""
    cuts = cuts_of(settings)
    made = [first_segment(settings, 0, cuts[0], target_at, "cpu")]
    for draws in cuts[1:]:
        kept = safetensors.torch.load(safetensors.torch.save(made[-1].chains.to_tensors()))
        made.append(next_segment(settings, 0, draws, Chains.of_tensors(kept), target_at))
    return made


def test_a_run_that_is_cut_and_restarted_is_the_same_run():
    whole, cut = all_segments(program(draws_per_segment=6)), all_segments(program())
    assert (len(whole), len(cut)) == (1, 3)
    for name in ("position", "log_density", "accepted"):
        joined = torch.cat([getattr(segment.draws, name) for segment in cut])
        torch.testing.assert_close(joined, getattr(whole[0].draws, name), rtol=0, atol=0)
    for name, value in whole[0].chains.to_tensors().items():
        assert torch.equal(value, cut[-1].chains.to_tensors()[name])
    assert int(whole[0].chains.replicas.round_trips.sum()) > 0


def test_draws_are_the_lowest_level_after_rounds_with_everything_frozen():
    """The same as rounds of exchange by hand, from where the chains were at the end of each exchanged level."""
    settings = program(num_draws=2, draws_per_segment=2)
    walk = descend_ladder(settings, 0, at, "cpu")
    replicas = exchange.start([walk.path[0], walk.path[2], walk.path[3]])
    levels, moves = [LEVELS[k] for k in (0, 2, 3)], [LADDER.move(k) for k in (0, 2, 3)]
    kept = []
    for r in range(5 + 3):
        replicas, _ = exchange.exchange_round(Stream(1, 0, "draws/foot"), r, replicas, at, levels, moves, 1)
        if r in (4, 7):
            kept.append(replicas.states[-1].x)
    draws = first_segment(settings, 0, range(2), at, "cpu").draws
    torch.testing.assert_close(draws.position, torch.stack(kept), rtol=0, atol=0)
    assert int(draws.accepted[0].max()) <= 5
    assert int(draws.accepted[1].max()) <= 3


def test_replicas_hold_the_values_of_their_own_levels():
    chains = all_segments(program())[-1].chains
    for state, level in zip(chains.replicas.states, (4.0, -2.0, -6.0), strict=True):
        fresh = metropolis.init(state.x, at(level))
        torch.testing.assert_close(state.value, fresh.value, rtol=0, atol=0)
        torch.testing.assert_close(state.score, fresh.score, rtol=0, atol=0)


@pytest.mark.parametrize("kernel", ["mala", "hmc"])
def test_gradients_are_counted_as_they_are_spent(kernel):
    count = 0

    def counting_at(level):
        def target(x):
            nonlocal count
            count += 1
            return at(level)(x)

        return target

    made = all_segments(program(ladder=dataclasses.replace(LADDER, kernel=kernel)), counting_at)
    assert count == sum(segment.num_gradients for segment in made)


def test_without_exchange_a_chain_has_one_replica_at_the_lowest_level():
    settings = program(exchange_rounds=0)
    chains = arrived(settings, descend_ladder(settings, 0, at, "cpu"))
    assert len(chains.replicas.states) == 1
    torch.testing.assert_close(chains.replicas.states[0].value, at(-6.0)(chains.replicas.states[0].x)[0])


def test_facts_tell_each_pair_its_own_swaps():
    """Of three levels with laws of one form but for the last, which is narrow, the first pair always swaps and the
    second does so seldom; two blocks count as one.
    """

    def target_at(level):
        variance = 1.0 if level > -6 else 0.02
        return lambda x: (-0.5 * x.square().sum(1) / variance, -x / variance)

    settings = program(ladder=dataclasses.replace(LADDER, step_sizes=(1.5, 1.5, 1.5, 0.03)))
    blocks = [[exchange_facts(made)["exchange"] for made in all_segments(settings, target_at)]] * 2
    made = summarise_exchange(settings, blocks)
    assert made["rounds"] == 5 + 5 * 3
    assert made["levels"] == [0, 2, 3]
    assert made["swap_rate"][0] == pytest.approx(1)
    assert made["swap_rate"][1] < 0.5
    assert all(0.2 < rate <= 1 for rate in made["acceptance"])
    assert made["round_trips_per_chain"] == blocks[0][-1]["round_trips"] / 32


def test_levels_are_chosen_among_those_of_the_ladder_and_both_ends_are_among_them():
    levels = tuple(torch.linspace(8.0, -6.0, 20).tolist())
    ladder = tune(Stream(0, 0, "tuning"), at, levels, 8, Tuning(128, 12, 0.574))
    chosen = ladder_exchange.choose_levels(Stream(0, 0, "exchange"), at, ladder, 128, 8)
    assert chosen.exchanged[0] == 0
    assert chosen.exchanged[-1] == 19
    assert list(chosen.exchanged) == sorted(set(chosen.exchanged))
    assert len(chosen.exchanged) < 10
    assert dataclasses.replace(chosen, exchanged=()) == ladder
