"""Merkle trees as RFC 9162 hashes them (section 2.1): roots, and whether a proof is one.

leaf = SHA-256(00 ‖ data), node = SHA-256(01 ‖ left ‖ right), split at the largest power
of two below n, empty tree = SHA-256(""). Proofs are made in `dunes.mu.tree`. Pure.
"""

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into one."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of_leaves(leaves: Sequence[bytes]) -> bytes:
    """Compute the root over leaf hashes, level by level; an odd last node moves up."""
    if not leaves:
        return EMPTY_ROOT
    row = list(leaves)
    while len(row) > 1:
        odd = [row[-1]] if len(row) % 2 else []
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)] + odd
    return row[0]


def root(entries: Iterable[bytes]) -> bytes:
    """Compute the root over entries."""
    return root_of_leaves([leaf_hash(entry) for entry in entries])


def is_included(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> bool:
    """Tell whether a proof leads from a leaf hash to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at % 2 or at == last:
            found = node_hash(sibling, found)
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == expected_root
