"""`mcp ground-station serve`: receive readings until somebody ends it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit
from dunes_mcp.commands.ground_options import Data

if TYPE_CHECKING:
    from dunes.uplink.tls import Certificate

PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Serving:
    """A ground station that is ready.

    Attributes:
        url: its address for gateways.
        data: its data directory.
        tls_sha256: fingerprint of its certificate; what gateways pin.
        own_certificate: it was made here, and no authority knows it.
        station: id of the key that signs receipts.
        public_key: its key document; what gateways pin, and seal to.
        gateways: how many are enrolled.
        pid: this process.
    """

    url: str
    data: str
    tls_sha256: str
    own_certificate: bool
    station: str
    public_key: str
    gateways: int
    pid: int


@command(schema="dunes.ground-station-serve/1", report="dunes_mcp.commands.ground_serve:Serving")
def serve(
    screen: Screen,
    data: Data,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0: any free one.")
    ] = "0.0.0.0:8443",
    tls_cert: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TLS certificate chain, PEM; default: one of its own."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificate's private key, PEM.")
    ] = None,
    quota: Annotated[
        str, typer.Option(metavar="SIZE", help="Size at which it takes no more.")
    ] = "100GB",
) -> int:
    """Receive readings over HTTPS until SIGTERM or Ctrl-C."""
    import asyncio

    from dunes.units import size_bytes
    from dunes.uplink.grounddir import station_lock

    host, port = parse_listen(listen)
    quota_bytes = size_bytes(quota)
    with station_lock(data):
        certificate = _certificate(data, host, tls_cert, tls_key)
        asyncio.run(_serve(screen, data, host, port, quota_bytes, certificate))
    return Exit.OK


async def _serve(
    screen: Screen,
    data: Path,
    host: str,
    port: int,
    quota_bytes: int,
    certificate: "Certificate",
) -> None:
    import asyncio
    import os
    import signal

    from dunes.uplink.enroll import Standing, list_gateways
    from dunes.uplink.ground import GroundStation
    from dunes.uplink.grounddir import PUBLIC_DOCUMENT
    from dunes.uplink.server import serving

    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    station = GroundStation.open(data, quota_bytes=quota_bytes)
    try:
        enrolled = [g for g in list_gateways(station.buffer) if g.standing is Standing.ENROLLED]
        async with serving(station, host, port, certificate, on_event=screen.note) as running:
            ready = Serving(
                running.url,
                str(data),
                running.tls_sha256,
                certificate.own,
                running.kid,
                str(data / PUBLIC_DOCUMENT),
                len(enrolled),
                os.getpid(),
            )
            screen.show(ready, lines)
            await ended.wait()
            screen.note("ending: requests under way are finished")
    finally:
        station.close()


def parse_listen(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`, also `[v6]:PORT`.

    Raises:
        UsageError: it is not that.
    """
    from dunes.errors import UsageError

    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > PORT_MAX:
        raise UsageError(f"--listen {text[:80]!r} is not HOST:PORT", hint="--listen 0.0.0.0:8443")
    return host, int(port)


def _certificate(
    data: Path, host: str, tls_cert: Path | None, tls_key: Path | None
) -> "Certificate":
    from dunes.errors import UsageError
    from dunes.uplink.tls import Certificate, certificate_sha256, find_certificate

    if tls_cert is None and tls_key is None:
        return find_certificate(data, host)
    if tls_cert is None or tls_key is None:
        raise UsageError("--tls-cert and --tls-key belong together", hint="give both, or neither")
    return Certificate(tls_cert, tls_key, certificate_sha256(tls_cert), own=False)


def lines(report: Serving) -> Iterator[str]:
    """Write the ready line, and what a gateway needs to know."""
    yield f"ground station ready at {report.url} (process {report.pid})"
    yield f"  data                 {report.data}, {report.gateways} gateways enrolled"
    yield f"  certificate SHA-256  {report.tls_sha256}"
    yield f"  receipts signed by   {report.station}"
    yield f"  public key           {report.public_key}"
