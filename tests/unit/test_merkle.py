"""Merkle trees: the vectors of RFC 6962's reference implementation, and proofs that hold for nothing else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorefleet.tasks.store import merkle

RECORDS = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
}
"""Of Certificate Transparency's published test vectors."""


@pytest.mark.parametrize(("num_records", "expected"), ROOTS.items())
def test_roots_are_those_of_the_published_vectors(num_records, expected):
    assert merkle.root([merkle.leaf(record) for record in RECORDS[:num_records]]).hex() == expected


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=40), st.data())
def test_a_path_proves_its_record_at_its_place_and_nothing_else(records, data):
    leaves = [merkle.leaf(record) for record in records]
    root, index = merkle.root(leaves), data.draw(st.integers(0, len(records) - 1))
    path = merkle.path(index, leaves)
    assert len(path) <= (len(records) - 1).bit_length()
    assert merkle.is_included(records[index], index, len(records), path, root)
    assert not merkle.is_included(records[index] + b"!", index, len(records), path, root)
    assert not merkle.is_included(records[index], index, len(records), [*path, root], root)
    assert not merkle.is_included(records[index], len(records), len(records), path, root)
    if path:
        assert not merkle.is_included(records[index], index, len(records), path[:-1], root)
        assert not merkle.is_included(records[index], index, len(records), [bytes(32), *path[1:]], root)


def test_a_node_cannot_be_passed_off_as_a_record():
    """Without the prefixes, the record `left || right` alone has the root of the list of two."""
    left, right = merkle.leaf(b"a"), merkle.leaf(b"b")
    root = merkle.root([left, right])
    assert not merkle.is_included(left + right, 0, 1, [], root)
    assert merkle.root([merkle.leaf(left + right)]) != root
    assert hashlib.sha256(b"\x01" + left + right).digest() == root


def test_the_root_depends_on_the_order():
    leaves = [merkle.leaf(record) for record in RECORDS]
    assert merkle.root(leaves) != merkle.root(leaves[::-1])
