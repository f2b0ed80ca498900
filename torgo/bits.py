"""Sets of small numbers as Python integers: bit i is member i.

One `&` or `|` on such an integer does the work of a loop over hundreds of
vertices, which is what lets plain Python prove connectivity in a fraction of a
millisecond.
"""

from collections.abc import Iterable, Iterator


def members(mask: int) -> Iterator[int]:
    """Walk the members in ascending order."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def mask_of(items: Iterable[int]) -> int:
    """Make the set of `items`; a wide one without paying for its width at each item."""
    row = bytearray()
    for item in items:
        byte = item >> 3
        if byte >= len(row):
            row.extend(bytes(byte + 1 - len(row)))
        row[byte] |= 1 << (item & 7)
    return int.from_bytes(row, "little")
