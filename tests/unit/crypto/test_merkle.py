"""Merkle trees: RFC 9162's hashes, and a proof for every leaf of every small tree."""

import hashlib

import pytest

from dunes.crypto import merkle
from dunes.mu.tree import prove_inclusion


def proof_of(leaves, index):
    def read(level, n):
        return merkle.root_of_leaves(leaves[n << level : (n + 1) << level])

    return prove_inclusion(index, len(leaves), read)


def test_the_empty_tree_and_single_leaves():
    assert "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" == (
        merkle.root([]).hex()
    )
    assert "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" == (
        merkle.root([b""]).hex()
    )
    assert "022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c" == (
        merkle.leaf_hash(b"a").hex()
    )


def test_three_leaves():
    leaves = [merkle.leaf_hash(x) for x in (b"a", b"b", b"c")]
    assert "36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1" == (
        merkle.root_of_leaves(leaves).hex()
    )
    assert [leaves[0], leaves[2]] == proof_of(leaves, 1)
    assert [merkle.node_hash(*leaves[:2])] == proof_of(leaves, 2)


def split_root(leaves):
    """RFC 9162 as it is written: split at the largest power of two below n."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    at = 1 << ((len(leaves) - 1).bit_length() - 1)
    return merkle.node_hash(split_root(leaves[:at]), split_root(leaves[at:]))


@pytest.mark.parametrize("size", range(1, 70))
def test_every_leaf_is_proved_and_nothing_else(size):
    leaves = [merkle.leaf_hash(bytes([i])) for i in range(size)]
    root = merkle.root_of_leaves(leaves)
    assert split_root(leaves) == root
    for index, leaf in enumerate(leaves):
        proof = proof_of(leaves, index)
        assert merkle.is_included(leaf, index, size, proof, root)
        assert not merkle.is_included(merkle.leaf_hash(b"no"), index, size, proof, root)
        assert not merkle.is_included(leaf, index, size, [*proof, root], root)
        assert size == 1 or not merkle.is_included(leaf, (index + 1) % size, size, proof, root)
        assert not proof or not merkle.is_included(leaf, index, size, proof[:-1], root)


def test_an_index_outside_the_tree_is_refused():
    with pytest.raises(IndexError):
        proof_of([merkle.EMPTY_ROOT], 1)
    assert not merkle.is_included(merkle.EMPTY_ROOT, 1, 1, [], merkle.EMPTY_ROOT)
