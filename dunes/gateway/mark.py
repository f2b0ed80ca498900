"""What a mesh's database must not fall behind: a small file outside of it.

A database that is copied back from yesterday would send yesterday's SEQ again: nodes would
answer nothing, and a nonce would be used twice. So whatever was promised to the network is
noted in this file as well, after the database has it and before it is used. At the next start
the two are compared (`compare`); the mark never makes the database older, only newer.

It holds nothing secret: SEQ and IV index are on the air, addresses too.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dunes.errors import StorageError
from dunes.paths import write_atomic

FORMAT = "dunes.mesh-mark/1"

Ranges = tuple[tuple[int, int], ...]
"""Addresses as (first, last), in order, not touching."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a mesh is.

    Attributes:
        mesh: its UUID.
        generation: of the database when this was written.
        keys_generation: of its NetKeys and AppKeys.
        unicast: our own address.
        iv_index: the index that SEQ is reserved for.
        limit: SEQ below it may have been sent.
        network_iv: the network's current IV index.
        updating: an IV update is in progress.
        given: addresses that were ever given out.
    """

    mesh: bytes
    generation: int = 0
    keys_generation: int = 0
    unicast: int = 1
    iv_index: int = 0
    limit: int = 0
    network_iv: int = 0
    updating: bool = False
    given: Ranges = field(default=())

    def write(self, path: Path) -> None:
        """Write it, durably."""
        text = {
            "format": FORMAT,
            "mesh": self.mesh.hex(),
            "generation": self.generation,
            "keys_generation": self.keys_generation,
            "unicast": self.unicast,
            "iv_index": self.iv_index,
            "limit": self.limit,
            "network_iv": self.network_iv,
            "updating": self.updating,
            "given": self.given,
        }
        try:
            write_atomic(path, json.dumps(text).encode() + b"\n")
        except OSError as e:
            raise StorageError(f"{path} cannot be written: {e.strerror}") from e


def read_mark(path: Path) -> Mark | None:
    """Read a mark; None if there is none.

    Raises:
        StorageError: it cannot be read, or is no mark.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as e:
        raise _unreadable(path) from e
    known = isinstance(found, dict) and found.get("format") == FORMAT
    if not known or not isinstance(found.get("updating"), bool):
        raise _unreadable(path)
    try:
        return Mark(
            bytes.fromhex(found["mesh"]),
            int(found["generation"]),
            int(found["keys_generation"]),
            int(found["unicast"]),
            int(found["iv_index"]),
            int(found["limit"]),
            int(found["network_iv"]),
            found["updating"],
            tuple((int(first), int(last)) for first, last in found["given"]),
        )
    except (KeyError, TypeError, ValueError) as e:
        raise _unreadable(path) from e


def _unreadable(path: Path) -> StorageError:
    return StorageError(
        f"{path} is not readable as the mark of a mesh",
        hint=f"rm {path}: the next command then skips numbers to be safe",
    )


def with_range(given: Ranges, first: int, count: int) -> Ranges:
    """Add addresses to ranges."""
    return merged([*given, (first, first + count - 1)])


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Put ranges in order and join those that touch."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def without(given: Ranges, known: Iterable[tuple[int, int]]) -> Ranges:
    """Give what is left of ranges when others are taken out of them."""
    left = list(given)
    for first, last in known:
        rest: list[tuple[int, int]] = []
        for low, high in left:
            if low < first:
                rest.append((low, min(high, first - 1)))
            if high > last:
                rest.append((max(low, last + 1), high))
        left = rest
    return merged(left)
