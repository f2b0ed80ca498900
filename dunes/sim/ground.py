"""The site's ground station: the real one, on loopback, behind the virtual sky."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dunes.uplink.ground import GroundStation
from dunes.uplink.grounddir import station_lock
from dunes.uplink.server import Running, serving
from dunes.uplink.tls import find_certificate

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ground:
    """A ground station that serves."""

    running: Running

    @property
    def address(self) -> tuple[str, int]:
        """Where it really listens."""
        return self.running.host, self.running.port

    def destination(self, port: int) -> dict[str, Any]:
        """Describe it for gateways, as reached through the sky at `port` of loopback."""
        return {
            "url": f"https://{HOST}:{port}",
            "tls_sha256": self.running.tls_sha256,
            "kid": self.running.kid,
        }


@contextlib.asynccontextmanager
async def start_ground(data: Path, on_event: Callable[[str], None]) -> AsyncIterator[Ground]:
    """Run a ground station on a data directory until the block is left.

    Raises:
        TryLater: another one runs on it.
    """
    with station_lock(data):
        station = await asyncio.to_thread(GroundStation.open, data)
        try:
            certificate = await asyncio.to_thread(find_certificate, data, HOST)
            async with serving(station, HOST, 0, certificate, on_event=on_event) as running:
                yield Ground(running)
        finally:
            await asyncio.to_thread(station.close)
