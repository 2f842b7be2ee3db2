"""A Merkle tree over a list of records, as RFC 6962 (section 2.1) defines it: one root names them all, in order.

    leaf(d) = SHA-256(0x00 || d),   node(l, r) = SHA-256(0x01 || l || r)

of a list of n > 1 split after the largest power of two below n. The two prefixes keep a node from being passed off as a
leaf. A proof that a record is in the list has ceil(log2 n) hashes, and needs none of the other records.
"""

import hashlib
from collections.abc import Iterable, Sequence


def leaf(record: bytes) -> bytes:
    """The hash of one record."""
    return hashlib.sha256(b"\x00" + record).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """The hash of a list of leaves' hashes; that of nothing is SHA-256 of no bytes.

    In one pass: whole subtrees of falling size wait, as the ones of the number of leaves in binary.
    """
    waiting: list[bytes] = []
    for index, node in enumerate(leaves):
        while index & 1:
            node, index = _node(waiting.pop(), node), index >> 1
        waiting.append(node)
    if not waiting:
        return hashlib.sha256().digest()
    whole = waiting.pop()
    while waiting:
        whole = _node(waiting.pop(), whole)
    return whole


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root, from the bottom up (the audit path of RFC 6962, 2.1.1)."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*path(index, leaves[:split]), root(leaves[split:])]
    return [*path(index - split, leaves[split:]), root(leaves[:split])]


def is_included(record: bytes, index: int, num_leaves: int, hashes: Sequence[bytes], expected: bytes) -> bool:
    """Whether `path`'s hashes lead from a record at `index` of `num_leaves` to the root that is expected."""
    if not 0 <= index < num_leaves:
        return False
    try:
        return _climb(leaf(record), index, num_leaves, list(hashes)) == expected
    except IndexError:
        return False


def _climb(below: bytes, index: int, num_leaves: int, hashes: list[bytes]) -> bytes:
    """The root that a path leads to; `IndexError` when it has a hash too few or too many."""
    if num_leaves == 1:
        if hashes:
            raise IndexError("hashes are left over")
        return below
    split, beside = _split(num_leaves), hashes.pop()
    if index < split:
        return _node(_climb(below, index, split, hashes), beside)
    return _node(beside, _climb(below, index - split, num_leaves - split, hashes))


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(num_leaves: int) -> int:
    """The largest power of two below a number of leaves."""
    return 1 << ((num_leaves - 1).bit_length() - 1)
