import dataclasses

import pytest
import torch

from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder
from scorefleet.tasks.mcmc.noise_ladder.program import Program, first_segment, next_segment
from tests.cuts import cuts_of

ALL = range(7)


def normal_at(logit_beta):
    """N(0, I) at every level."""
    return lambda x: (-0.5 * x.square().sum(1), -x)


def score_at(logit_beta):
    """The score of N(0, I) at every level, without a value."""
    return lambda x: (torch.full_like(x[:, 0], torch.nan), -x)


def program(**changes):
    settings = {
        "seed": 1,
        "purpose": "draws",
        "ladder": Ladder((8.0, 0.0, -4.0), (0.8, 0.5, 0.3), (1.0, 1.0, 1.0)),
        "steps_per_level": 4,
        "block_size": 8,
        "dim": 3,
        "num_draws": 7,
        "thinning": 2,
        "draws_per_segment": 3,
    }
    return Program(**(settings | changes))


def _all_draws(settings, block):
    cuts = cuts_of(settings)
    made = [first_segment(settings, block, cuts[0], normal_at, "cpu")]
    for draws in cuts[1:]:
        made.append(next_segment(settings, block, draws, made[-1].chains, normal_at))
    return torch.cat([segment.draws.position for segment in made]), [segment.first_draw for segment in made]


def test_segments_hold_every_draw_once():
    position, first_draws = _all_draws(program(), 0)
    assert position.shape == (7, 8, 3)
    assert first_draws == [0, 3, 6]


def test_draws_do_not_depend_on_how_they_are_cut_into_segments():
    whole, _ = _all_draws(program(draws_per_segment=7), 5)
    cut, _ = _all_draws(program(draws_per_segment=2), 5)
    torch.testing.assert_close(whole, cut, rtol=0, atol=0)


def test_more_draws_extend_the_same_chains():
    many, _ = _all_draws(program(), 5)
    few = first_segment(program(num_draws=4), 5, range(4), normal_at, "cpu")
    more = next_segment(program(), 5, range(4, 7), few.chains, normal_at)
    torch.testing.assert_close(many, torch.cat([few.draws.position, more.draws.position]), rtol=0, atol=0)


@pytest.mark.parametrize("kernel", ["line_integral_simpson", "line_integral_gauss_legendre"])
def test_a_score_without_a_value_draws_what_its_density_would_where_the_rule_is_exact(kernel):
    """A score that is linear in x: the same proposals and decisions, level by level."""
    ladder = program().ladder
    by_score = program(ladder=dataclasses.replace(ladder, kernel=kernel))
    found = first_segment(by_score, 0, ALL, score_at, "cpu")
    exact = first_segment(program(), 0, ALL, normal_at, "cpu")
    torch.testing.assert_close(found.draws.position, exact.draws.position)
    assert torch.equal(found.draws.accepted, exact.draws.accepted)
    assert found.draws.num_nonfinite == 0
    assert bool(found.draws.log_density.isnan().all())
    assert bool(found.chains.log_weight.isnan().all())
    assert found.num_gradients > exact.num_gradients


def test_blocks_and_purposes_have_streams_of_their_own():
    draws = [
        _all_draws(program(), 0)[0],
        _all_draws(program(), 1)[0],
        _all_draws(program(purpose="control"), 0)[0],
    ]
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_accepted_counts_the_steps_since_the_last_draw():
    made = first_segment(program(), 0, ALL, normal_at, "cpu")
    assert int(made.draws.accepted[0].max()) <= 4
    assert int(made.draws.accepted[1:].max()) <= 2
    assert made.draws.accepted.float().mean() > 0
    assert made.draws.num_nonfinite == 0


@pytest.mark.parametrize("kernel", ["mala", "hmc"])
def test_gradients_are_counted_as_they_are_spent(kernel):
    count = 0

    def counting_at(logit_beta):
        def target(x):
            nonlocal count
            count += 1
            return normal_at(logit_beta)(x)

        return target

    settings = program(ladder=dataclasses.replace(program().ladder, kernel=kernel))
    first = first_segment(settings, 0, range(3), counting_at, "cpu")
    assert count == first.num_gradients
    second = next_segment(settings, 0, range(3, 6), first.chains, counting_at)
    assert count == first.num_gradients + second.num_gradients


def test_a_draw_differs_from_the_last_where_and_only_where_proposals_were_accepted():
    draws = first_segment(program(), 0, ALL, normal_at, "cpu").draws
    has_moved = (draws.position[1:] != draws.position[:-1]).any(2)
    assert torch.equal(has_moved, draws.accepted[1:] > 0)
    assert has_moved.any()


def test_draws_are_kept_also_when_no_chain_moves():
    stuck = Ladder((8.0, -4.0), (1e9, 1e9), (1.0, 1.0))
    draws = first_segment(program(ladder=stuck), 0, ALL, normal_at, "cpu").draws
    assert draws.accepted.sum() == 0
    assert draws.position.shape == (7, 8, 3)


def test_every_draw_has_steps_of_its_own():
    """On a flat density every step is taken, so that equal moves would be equal numbers."""
    made = first_segment(program(), 0, ALL, lambda level: lambda x: (0 * x[:, 0], 0 * x), "cpu")
    moves = made.draws.position.diff(dim=0)
    assert all((moves[i] != moves[j]).all() for i in range(6) for j in range(i))
