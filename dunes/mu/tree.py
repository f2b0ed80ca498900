"""A Merkle tree that only grows, read through its stored hashes (RFC 9162, 2.1).

`read(level, n)` gives the hash over leaves n·2^level to (n+1)·2^level - 1; only
complete subtrees are stored. With them a root and any proof take some log2(n) reads.
"""

from collections.abc import Callable, Sequence

from dunes.crypto.merkle import EMPTY_ROOT, node_hash

Read = Callable[[int, int], bytes]


def stored_hash_number(level: int, n: int) -> int:
    """Give the running number under which a hash is stored.

    Each leaf is followed by the subtrees that it completes, smallest first.
    """
    number = ((n + 1) << level) - 1  # the leaf that completes this subtree
    return stored_hash_count(number) + level


def stored_hash_count(leaves: int) -> int:
    """Give the number of hashes stored for so many leaves."""
    return 2 * leaves - leaves.bit_count()


def completed_by(index: int) -> int:
    """Give how many subtrees above the leaves are completed by the leaf at `index`."""
    return ((index + 1) & -(index + 1)).bit_length() - 1


def range_hash(first: int, end: int, read: Read) -> bytes:
    """Give the root over leaves `first` to `end` - 1, at least one, `first` aligned."""
    parts = []
    while first < end:
        level = (end - first).bit_length() - 1
        if first:
            level = min(level, (first & -first).bit_length() - 1)
        parts.append(read(level, first >> level))
        first += 1 << level
    found = parts.pop()
    while parts:
        found = node_hash(parts.pop(), found)
    return found


def root_at(size: int, read: Read) -> bytes:
    """Give the root of the tree's first `size` leaves."""
    return range_hash(0, size, read) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, read: Read) -> list[bytes]:
    """Prove that a leaf is in the tree of `size` leaves (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < size:
        raise IndexError(f"no leaf {index} in a tree of {size}")
    proof: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            proof.append(range_hash(middle, end, read))
            end = middle
        else:
            proof.append(range_hash(first, middle, read))
            first = middle
    return proof[::-1]


def prove_consistency(old: int, size: int, read: Read) -> list[bytes]:
    """Prove that the tree of `old` leaves is the start of that of `size` (RFC 9162, 2.1.4.1)."""
    if not 0 <= old <= size:
        raise IndexError(f"a tree of {size} does not contain one of {old}")
    if old in (0, size):
        return []
    proof: list[bytes] = []
    first, end, whole = 0, size, True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            proof.append(range_hash(middle, end, read))
            end = middle
        else:
            proof.append(range_hash(first, middle, read))
            first, whole = middle, False
    if not whole:
        proof.append(range_hash(first, end, read))
    return proof[::-1]


def is_consistent(
    old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> bool:
    """Tell whether a proof shows that one tree is the start of the other (RFC 9162, 2.1.4.2)."""
    if old == size:
        return not proof and old_root == root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if not 0 < old < size or not proof:
        return False
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while at & 1 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == root


def _split(count: int) -> int:
    """Give the largest power of two below `count`, which is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)
