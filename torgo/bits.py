"""Sets of small numbers as Python integers: bit i is member i.

One `&` or `|` on such an integer does the work of a loop over hundreds of
vertices, which is what lets plain Python prove connectivity in a fraction of a
millisecond.
"""

from collections.abc import Iterable, Iterator

import numpy as np

WIDE_BITS = 2_048
"""From here on a step over one member costs more than a look at 64 bits."""
MANY = 24
"""From so many members of a wide set on, all are unpacked at once."""


def lowest(mask: int) -> int:
    """Give the smallest member of a set that has one."""
    return (mask & -mask).bit_length() - 1


def members(mask: int) -> Iterator[int]:
    """Walk the members in ascending order."""
    if mask.bit_length() > WIDE_BITS and mask.bit_count() >= MANY:
        raw = np.frombuffer(mask.to_bytes((mask.bit_length() + 7) // 8, "little"), np.uint8)
        yield from np.flatnonzero(np.unpackbits(raw, bitorder="little")).tolist()
        return
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
