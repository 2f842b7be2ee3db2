"""Every chain and draw belongs to one segment, and a segment that holds others is found out."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.extents import Extent
from scorefleet.tasks.store.layout import Layout

SMALL = st.integers(1, 9)
SIZES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=5)


def layout_of(block_size, draws_per_segment, *sizes):
    return Layout(block_size, draws_per_segment, tuple(Extent(*size) for size in sizes))


def extended(block_size, draws_per_segment, steps):
    """The layout of a store that grew by so much each time."""
    growth = np.cumsum([(1, 1), *steps], axis=0)
    return layout_of(block_size, draws_per_segment, *dict.fromkeys(map(tuple, growth.tolist())))


def all_rows(layout):
    places = [(block, layout.draws(block, segment)) for block, segment in layout.places()]
    return [(chain, draw) for block, draws in places for chain in layout.chains(block) for draw in draws]


@given(SMALL, SMALL, SMALL, SMALL)
def test_segments_hold_every_chain_and_draw_once(num_chains, block_size, num_draws, draws_per_segment):
    rows = all_rows(layout_of(block_size, draws_per_segment, (num_chains, num_draws)))
    assert sorted(rows) == list(itertools.product(range(num_chains), range(num_draws)))


@given(SMALL, SMALL, SIZES)
def test_segments_of_an_extended_store_hold_every_chain_and_draw_once(block_size, draws_per_segment, steps):
    layout = extended(block_size, draws_per_segment, steps)
    rows, places = all_rows(layout), list(layout.places())
    chains = layout.chain_numbers().tolist()
    assert len(chains) == layout.num_chains
    assert sorted(rows) == list(itertools.product(chains, range(layout.num_draws)))
    assert len(rows) == sum(layout.num_rows(*place) for place in places)
    assert len(places) == layout.num_places
    for block, segment in places:
        assert layout.has(block, segment)
        assert {chain // block_size for chain in layout.chains(block)} == {block}
        assert {layout.segment_of(block, draw) for draw in layout.draws(block, segment)} == {segment}
    assert not any(layout.has(block, layout.num_segments(block)) for block in range(layout.num_blocks))
    assert not layout.has(layout.num_blocks, 0)


@given(SMALL, SMALL, SIZES)
def test_an_extension_leaves_every_segment_that_was_there(block_size, draws_per_segment, steps):
    after = extended(block_size, draws_per_segment, steps)
    for number in range(1, len(after.extents)):
        before = Layout(block_size, draws_per_segment, after.extents[:number])
        for block, segment in before.places():
            assert after.chains(block) == before.chains(block)
            assert after.draws(block, segment) == before.draws(block, segment)


@given(SMALL, SMALL, SIZES)
def test_a_description_says_the_layout(block_size, draws_per_segment, steps):
    layout = extended(block_size, draws_per_segment, steps)
    program = {"block_size": block_size, "draws_per_segment": draws_per_segment, "num_draws": layout.num_draws}
    described = {"num_chains": layout.num_chains, "program": program, "extents": layout.extents}
    assert Layout.of(json.loads(json.dumps(described))) == layout


def rows_of(layout, block, segment):
    pairs = list(itertools.product(layout.chains(block), layout.draws(block, segment)))
    return np.array(pairs, dtype=np.int64).T


def test_rows_in_any_order_are_the_segments_own():
    layout = layout_of(4, 2, (10, 5))
    chain, draw = np.random.default_rng(0).permutation(rows_of(layout, 2, 1), axis=1)
    assert layout.compare(2, 1, chain, draw) == (0, 0, 0)


@given(st.data())
def test_a_row_that_is_not_its_own_is_counted(data):
    layout = layout_of(4, 2, (10, 5))
    place = data.draw(st.sampled_from(list(layout.places())))
    chain, draw = rows_of(layout, *place)
    row, other = (
        data.draw(st.integers(0, len(chain) - 1)),
        data.draw(st.tuples(st.integers(-3, 14), st.integers(-3, 8))),
    )
    own = set(zip(chain.tolist(), draw.tolist(), strict=True))
    was = (int(chain[row]), int(draw[row]))
    chain[row], draw[row] = other
    expected = (0, 0, 0) if other == was else (1, 1, 0) if other in own else (1, 0, 1)
    assert layout.compare(*place, chain, draw) == expected


@pytest.mark.parametrize("wrong", [None, 0, -1, 2.0, True, "3", 2**60])
def test_a_description_without_a_program_is_refused(wrong):
    with pytest.raises(StorageError, match="num_chains"):
        Layout.of({"num_chains": wrong, "program": {"block_size": 1, "num_draws": 1, "draws_per_segment": 1}})


@pytest.mark.parametrize(
    "extents",
    [
        [],
        3,
        [[4]],
        [[4, 2, 1]],
        [["4", 2]],
        [[4, 0], [4, 3]],
        [[4, 2]],
        [[5, 3], [4, 3]],
        [[4, 3], [4, 3]],
        [[2, 3], 4],
    ],
)
def test_sizes_that_no_store_has_had_are_refused(extents):
    program = {"block_size": 2, "num_draws": 3, "draws_per_segment": 1}
    with pytest.raises(StorageError, match=r"^dataset.json "):
        Layout.of({"num_chains": 4, "program": program, "extents": extents})
