"""The ground station's data directory: what lies where, and who runs on it.

ground.db        frames, heads, receipts, the enrolment list
keys/            the station's identity: it signs receipts
station.pub.maml its public key document, for `mcp init --ground-key`
station.pub.pem  the signing key alone, as PEM
tls/             a certificate and key of its own, where none is given
ground.lock      held while a station runs
rejected/        frames that contradicted what was stored, as they came
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dunes.buffer.store import DEFAULT_CAP_BYTES, Buffer
from dunes.errors import NotFound, StorageError, TryLater
from dunes.paths import Paths, write_atomic

if TYPE_CHECKING:
    from dunes.crypto.identity import Identity

DATABASE = "ground.db"
PUBLIC_KEY = "station.pub.pem"
PUBLIC_DOCUMENT = "station.pub.maml"
LOCK = "ground.lock"
REJECTED = "rejected"


def ground_paths(data: Path) -> Paths:
    """Give a data directory in the shape that the rest of the house knows."""
    return Paths(data, data, data / "keys", data / "state", data / "run")


def ground_buffer(
    data: Path, *, create: bool = False, quota_bytes: int = DEFAULT_CAP_BYTES
) -> Buffer:
    """Open the database of a data directory.

    Raises:
        NotFound: there is none, and `create` is off.
        StorageError: it cannot be made or opened.
    """
    path = data / DATABASE
    if not create and not path.exists():
        raise NotFound(
            f"no ground station has its data in {data}",
            hint=f"mcp ground-station serve --data {data}",
            code="no-ground-data",
        )
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise StorageError(f"cannot make {data}: {e.strerror}") from e
    return Buffer.open(f"sqlite:///{path.absolute()}", cap_bytes=quota_bytes)


def station_identity(data: Path) -> "Identity":
    """Load the ground station's identity, making it at first, and publish its public key."""
    from dunes.crypto.identity import ensure_identity

    identity = ensure_identity(ground_paths(data), "ground-station", "ground-station")
    published = {
        data / PUBLIC_KEY: identity.signing.public.pem.encode("ascii"),
        data / PUBLIC_DOCUMENT: identity.document,
    }
    for path, content in published.items():
        if content and (not path.exists() or path.read_bytes() != content):
            write_atomic(path, content, mode=0o644)
    return identity


@contextlib.contextmanager
def station_lock(data: Path) -> Iterator[None]:
    """Hold the right to run on a data directory; the kernel drops it with the process.

    Raises:
        TryLater: another station runs on it.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise TryLater(
                f"a ground station runs on {data} already (process {holder[:20]})",
                hint=f"mcp ground-station status --data {data}",
                code="ground-station-running",
            ) from e
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
