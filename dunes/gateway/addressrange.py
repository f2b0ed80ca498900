"""Find a part of a mesh's addresses for a gateway that joins it. Pure.

Provisioners divide the unicast addresses among themselves, so that none gives out what
another does. A newcomer takes a part that is nobody's, at a random place: two gateways that
import the same file should not become one source address.
"""

from collections.abc import Iterable
from random import Random

from dunes.errors import NotFound
from dunes.gateway.mark import Ranges, merged, without
from dunes.mesh.address import UNICAST_MAX
from dunes.mesh.managerstate import OWN_ELEMENTS

WANTED = 0x1000
LEAST = 2
"""Our own address, and one to give out."""
ROOM_FROM = 4 * OWN_ELEMENTS
"""In a range as large, addresses for elements of ours are kept from nodes."""


def first_for_nodes(first: int, last: int) -> int:
    """Say which address of a range of ours a node may have first; the gateway has `first`."""
    return first + (OWN_ELEMENTS if last - first + 1 >= ROOM_FROM else 1)


def choose_range(
    rng: Random, taken: Iterable[tuple[int, int]], others: Iterable[tuple[int, int]]
) -> tuple[int, int, bool]:
    """Choose a range: (first, last, shared).

    Args:
        rng: a `SystemRandom` outside of tests.
        taken: addresses that somebody has or had lately, as (first, last).
        others: ranges of other provisioners.

    Returns:
        The range, and whether it lies within another provisioner's, as nothing else is free.

    Raises:
        NotFound: no two addresses in a row are free.
    """
    used = [*taken]
    every: Ranges = ((1, UNICAST_MAX),)
    for free, shared in ((without(every, [*used, *others]), False), (without(every, used), True)):
        size = WANTED
        while size >= LEAST:
            places = [
                (first, last - size + 2)
                for first, last in merged(free)
                if last - first + 1 >= size
            ]
            if places:
                at = rng.randrange(sum(end - begin for begin, end in places))
                for begin, end in places:
                    if at < end - begin:
                        return begin + at, begin + at + size - 1, shared
                    at -= end - begin
            size //= 2
    raise NotFound(
        "no two unicast addresses in a row are free in this mesh",
        hint="remove nodes with the app that exported it, or finish an IV update there",
        code="mesh-full",
    )
