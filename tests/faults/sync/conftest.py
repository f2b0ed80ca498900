"""A gateway with a buffer, and ground stations on loopback: honest, lying, or none at all."""

import asyncio
import contextlib
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dunes.buffer.appender import Appender
from dunes.buffer.query import Query, query
from dunes.buffer.store import open_buffer
from dunes.clock import SYSTEM_CLOCK
from dunes.crypto.identity import ensure_identity
from dunes.crypto.truststore import Role, TrustStore
from dunes.model import Priority, Reading
from dunes.paths import find_paths
from dunes.secrets import Secret, store_secret
from dunes.settings import load, write_profile
from dunes.uplink.audit import ground_opener
from dunes.uplink.enroll import enroll
from dunes.uplink.ground import GroundStation
from dunes.uplink.grounddir import ground_buffer, station_identity
from dunes.uplink.server import serving
from dunes.uplink.sync import open_sync
from dunes.uplink.target import pin_key
from dunes.uplink.tls import find_certificate, server_context

TABLE = "lunar_telemetry"
API_KEY = Secret("an-api-key-for-tests")
BEGIN_US = 1_800_000_000_000_000


@dataclass
class Loop:
    """An event loop in a thread, for servers beside the code under test."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self):
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@dataclass
class Ground:
    """A ground station's data directory, and a server on it that can be started and stopped."""

    data: Path
    loop: Loop
    kind: type[GroundStation] = GroundStation
    running: object = None
    station: object = None
    events: list = field(default_factory=list)
    port: int = 0

    def start(self):
        self.station = self.kind.open(self.data)
        certificate = find_certificate(self.data, "127.0.0.1")
        self.manager = serving(
            self.station, "127.0.0.1", self.port, certificate, on_event=self.events.append
        )
        self.running = self.loop.run(self.manager.__aenter__())
        self.port = self.running.port
        return self.running

    def stop(self):
        if self.running is not None:
            self.loop.run(self.manager.__aexit__(None, None, None))
            self.station.close()
            self.running = None

    @contextlib.contextmanager
    def buffer(self):
        with ground_buffer(self.data) as opened:
            yield opened

    def readings(self, lane=None):
        """Give all complete readings of the ground station's store, in lane order."""
        with self.buffer() as opened:
            found = query(opened, TABLE, Query(priority=lane), ground_opener(self.data, opened))
            return [item.reading for item in found.readings]

    def seqs(self, lane=Priority.ROUTINE):
        return [reading.seq for reading in self.readings(lane)]


@dataclass
class Gateway:
    """A gateway's home: identity, API key, profile, buffer."""

    home: Path
    name: str = ""

    def __post_init__(self):
        self.environ = {"DUNES_HOME": str(self.home), "HOME": str(self.home)}
        self.paths = find_paths(self.environ)
        self.identity = ensure_identity(self.paths)
        store_secret(self.paths, "api-key", API_KEY)
        self.name = self.name or f"gw-{self.identity.kid[:12]}"
        self.seq = dict.fromkeys(Priority, 0)

    @property
    def settings(self):
        return load(self.environ, paths=self.paths, folder=self.home)

    def join(self, ground, *, readable=True):
        """Enrol at a ground station that runs, and pin its key; seal to it if `readable`."""
        pem = self.identity.signing.public.pem
        enroll(ground.data, self.name, pem, API_KEY)
        entry = {"url": ground.running.url, "tls_sha256": ground.running.tls_sha256}
        write_profile(self.settings, {"uplink.destinations": {"earth-gs": entry}})
        station = station_identity(ground.data)
        pin_key(self.paths, "earth-gs", station.signing.public)
        if readable:
            TrustStore.at(self.paths).add(station.document, [Role.GROUND_STATION], BEGIN_US)

    def point_at(self, url, sha256):
        entry = {"url": url, "tls_sha256": sha256}
        write_profile(self.settings, {"uplink.destinations": {"earth-gs": entry}})

    def write(
        self,
        frames=1,
        readings=3,
        lane=Priority.ROUTINE,
        device="hab-1",
        table=TABLE,
        begin_us=BEGIN_US,
    ):
        buffer = open_buffer(self.settings, self.name)
        appender = Appender(buffer, table, signer=self.identity.signing)
        for _ in range(frames):
            for _ in range(readings):
                self.seq[lane] += 1
                appender.add(
                    Reading(
                        device,
                        "co2",
                        400.0,
                        "ppm",
                        begin_us + self.seq[lane],
                        lane,
                        self.seq[lane],
                    )
                )
            appender.commit()
        appender.close()
        buffer.close()

    def sync(
        self, destination="earth-gs", timeout_s=5.0, table="lunar-data", clock=SYSTEM_CLOCK, **more
    ):
        work = open_sync(self.settings, table, destination, timeout_s=timeout_s)
        work.clock = clock
        self.last = work
        try:
            return work.run(**more)
        finally:
            work.buffer.close()

    def stored_frames(self):
        with open_buffer(self.settings, self.name) as buffer:
            streams = buffer.streams(TABLE)
            with buffer.reading() as connection:
                return sum(
                    lane.frames for s in streams for lane in buffer.lanes(connection, s).values()
                )


@pytest.fixture
def loop():
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def make_ground(tmp_path, loop):
    made = []

    def make(kind=GroundStation, name="ground"):
        ground = Ground(tmp_path / name, loop, kind)
        made.append(ground)
        ground.start()
        return ground

    yield make
    for ground in made:
        ground.stop()


@pytest.fixture
def ground(make_ground):
    return make_ground()


@pytest.fixture
def make_gateway(tmp_path):
    return lambda name="gateway": Gateway(tmp_path / name)


@pytest.fixture
def gateway(make_gateway, ground):
    made = make_gateway()
    made.join(ground)
    return made


@pytest.fixture
def impostor(loop, ground):
    """Serve fixed bytes, over the ground station's own TLS, in answer to any request."""
    servers, tasks = [], set()

    def make(answer):
        """`answer(head, count)` gives the raw response to the n-th request; None: silence."""
        count = [0]

        async def handle(reader, writer):
            tasks.add(asyncio.current_task())
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
                head = await reader.readuntil(b"\r\n\r\n")
                length = [
                    int(row.split(b":")[1])
                    for row in head.split(b"\r\n")
                    if row.lower().startswith(b"content-length:")
                ]
                if length:
                    await reader.readexactly(length[0])
                count[0] += 1
                body = answer(head, count[0])
                if body is None:
                    await reader.read()  # until the other side has had enough
                else:
                    writer.write(body)
                    await writer.drain()
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

        async def start():
            certificate = find_certificate(ground.data, "127.0.0.1")
            server = await asyncio.start_server(
                handle, "127.0.0.1", 0, ssl=server_context(certificate)
            )
            servers.append(server)
            port = server.sockets[0].getsockname()[1]
            return f"https://127.0.0.1:{port}", certificate.sha256, count

        return loop.run(start())

    yield make

    async def stop():
        for server in servers:
            server.close()
            await server.wait_closed()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)

    loop.run(stop())
