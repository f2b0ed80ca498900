"""Hash a sealed file in segments, on as many cores as there are.

What is signed of a sealed file, 64 bytes::

    leaf_i = SHA-256(00 ‖ segment i)       segments of 64 chunks of Cobblestone, 1049600
                                           bytes (1 MiB of plaintext); the last is shorter
    root   = Merkle root of the leaves, as RFC 9162
    digest = SHA-512(prefix ‖ header ‖ salt and commitment ‖ u64 big-endian size of all
             segments ‖ root)

One hash over the whole stream would be the slowest part: SHA-512 runs at some 0.9 GB/s
on a core, AES-256-GCM at ten times that. The leaves are hashed side by side, by the
hash that today's cores have instructions for. Memory stays flat: a ring of segments.
"""

import hashlib
import os
import struct
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from dunes.crypto import merkle

CHUNK_BYTES = 16384
CHUNK_TAG_BYTES = 16
SEGMENT_CHUNKS = 64
SEGMENT_PLAIN_BYTES = SEGMENT_CHUNKS * CHUNK_BYTES
SEGMENT_BYTES = SEGMENT_CHUNKS * (CHUNK_BYTES + CHUNK_TAG_BYTES)
HEAD_BYTES = 56
"""Cobblestone's salt (24) and commitment (32), before the first chunk."""
WORKERS_MAX = 4


class SegmentHasher:
    """Computes the digest of a sealed file while its segments pass by.

    `borrow` a buffer, fill it, `commit` it; its content may be read (not written) until
    the next `borrow`. Use as a context manager: it owns threads.

    Args:
        slack: bytes that each buffer has beyond a segment, for the caller's use.
        cores_left: for what the caller computes meanwhile; a worker more is slower.
    """

    def __init__(self, slack: int = 0, *, cores_left: int = 1) -> None:
        workers = max(1, min(WORKERS_MAX, len(os.sched_getaffinity(0)) - cores_left))
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="segment-hash")
        self._free = deque(
            memoryview(bytearray(SEGMENT_BYTES + slack)) for _ in range(2 * workers + 1)
        )
        self._busy: deque[tuple[memoryview, Future[bytes]]] = deque()
        self._leaves: list[bytes] = []
        self._size = 0

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def borrow(self) -> memoryview:
        """Give a buffer of a segment and the slack, waiting while all are being hashed."""
        if not self._free:
            self._collect()
        return self._free[0]

    def commit(self, size: int) -> memoryview:
        """Hash the first `size` bytes of the borrowed buffer as the next segment.

        Returns:
            those bytes, to be read until the next `borrow`.
        """
        buffer = self._free.popleft()
        segment = buffer[:size]
        self._busy.append((buffer, self._pool.submit(_leaf, segment)))
        self._size += size
        return segment

    def _collect(self) -> None:
        buffer, leaf = self._busy.popleft()
        self._leaves.append(leaf.result())
        self._free.append(buffer)

    def digest(self, start: bytes) -> bytes:
        """Finish: 64 bytes.

        Args:
            start: all bytes before the first segment.
        """
        while self._busy:
            self._collect()
        root = merkle.root_of_leaves(self._leaves)
        return hashlib.sha512(start + struct.pack(">Q", self._size) + root).digest()


def _leaf(segment: memoryview) -> bytes:
    """Hash one segment; the interpreter lets other threads run meanwhile."""
    found = hashlib.sha256(b"\x00")
    found.update(segment)
    return found.digest()
