"""Every chain and draw belongs to one segment, and a segment that holds others is found out."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import StorageError
from tasks.store.layout import Layout

SMALL = st.integers(1, 9)


@given(SMALL, SMALL, SMALL, SMALL)
def test_segments_hold_every_chain_and_draw_once(num_chains, block_size, num_draws, draws_per_segment):
    layout = Layout(num_chains, block_size, num_draws, draws_per_segment)
    rows = [
        (chain, draw)
        for block, segment in layout.places()
        for chain in layout.chains(block)
        for draw in layout.draws(segment)
    ]
    assert sorted(rows) == list(itertools.product(range(num_chains), range(num_draws)))
    assert len(rows) == sum(layout.num_rows(*place) for place in layout.places())


def rows_of(layout, block, segment):
    pairs = list(itertools.product(layout.chains(block), layout.draws(segment)))
    return np.array(pairs, dtype=np.int64).T


def test_rows_in_any_order_are_the_segments_own():
    layout = Layout(10, 4, 5, 2)
    chain, draw = np.random.default_rng(0).permutation(rows_of(layout, 2, 1), axis=1)
    assert layout.compare(2, 1, chain, draw) == (0, 0, 0)


@given(st.data())
def test_a_row_that_is_not_its_own_is_counted(data):
    layout = Layout(10, 4, 5, 2)
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
