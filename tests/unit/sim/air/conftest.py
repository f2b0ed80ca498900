"""A gateway for the tests: Bumble's host over HCI and TCP, our mesh manager, nothing of ours
between them but a pump."""

import asyncio
import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from bumble import hci
from bumble.core import UUID
from bumble.device import Device, Peer
from bumble.transport import open_transport

from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import ManagerState
from dunes.mesh.models import config_keys, config_models, config_node
from dunes.mesh.models.composition import Composition
from dunes.mesh.provisionings import Invitation, NodeProvisioned, ProvisioningSaid
from dunes.mesh.requests import Answered, Unanswered
from dunes.mesh.state import Store
from dunes.sim.air.fleet import Fleet
from dunes.sim.definition import load_definition

sys.path.insert(0, str(Path(__file__).parent))

PROVISIONING, PROXY = 0x1827, 0x1828
CHARACTERISTICS = {PROVISIONING: (0x2ADB, 0x2ADC), PROXY: (0x2ADD, 0x2ADE)}
GROUP = 0xC000
START_US = 1_900_000_000_000_000


class Seen:
    """What was heard of one address."""

    def __init__(self, address):
        self.address = address
        self.name = ""
        self.service = 0
        self.data = b""
        self.times = 0


class Gateway:
    """A Bumble host as central, with a mesh manager."""

    def __init__(self, port):
        self.port = port
        self.seen = {}
        self.manager = None
        self.links = {}
        self.events = []
        self._next_link = 0
        self._pumping = None

    async def open(self):
        self.transport = await open_transport(f"tcp-client:127.0.0.1:{self.port}")
        self.device = Device.with_hci(
            "gateway", hci.Address("F0:F1:F2:F3:F4:F5"), self.transport.source, self.transport.sink
        )
        await self.device.power_on()
        self.device.on("advertisement", self._heard)
        return self

    async def close(self):
        if self._pumping:
            self._pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pumping
        await self.transport.close()

    # ------------------------------------------------------------ scanning

    def _heard(self, advertisement):
        entry = self.seen.setdefault(advertisement.address, Seen(advertisement.address))
        entry.times += 1
        for kind, data in advertisement.data.ad_structures:
            if kind == 0x09:
                entry.name = data.decode()
            elif kind == 0x16:
                entry.service, entry.data = int.from_bytes(data[:2], "little"), data[2:]

    async def find(self, *names, timeout_s=5.0, service=None):
        """Scan until these names are there, with a service if one is given."""
        self.seen.clear()
        await self.device.start_scanning(active=True)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    found = {
                        each.name: each
                        for each in self.seen.values()
                        if service is None or each.service == service
                    }
                    if all(name in found for name in names):
                        return [found[name] for name in names]
                    await asyncio.sleep(0.02)
        finally:
            await self.device.stop_scanning()

    # ------------------------------------------------------------ links

    async def connect(self, seen, service, mtu=247):
        """Connect, subscribe; gives the number of the link."""
        connection = await self.device.connect(seen.address, timeout=5)
        peer = Peer(connection)
        if mtu:
            await peer.request_mtu(mtu)
        (found,) = await peer.discover_service(UUID.from_16_bits(service))
        characteristics = await found.discover_characteristics()
        by_uuid = {each.uuid: each for each in characteristics}
        came_in, out = (by_uuid[UUID.from_16_bits(each)] for each in CHARACTERISTICS[service])
        self._next_link += 1
        link = self._next_link
        values = []
        self.links[link] = (connection, came_in, peer, values)

        opened = False

        def notified(value):
            values.append(value)
            if opened:
                self.manager.receive_pdu(link, value, self.now_s())

        def gone(_reason):
            self.links.pop(link, None)
            if self.manager is not None:
                self.manager.closed(link, self.now_s())

        connection.on("disconnection", gone)
        await peer.discover_descriptors(out)
        await peer.subscribe(out, notified)
        if self.manager is not None:
            self._open(link, connection.att_mtu - 3)
            opened = True
            for value in values:
                self.manager.receive_pdu(link, value, self.now_s())
        return link

    _open = None

    async def hang_up(self, link):
        if link in self.links:
            await self.links[link][0].disconnect()

    async def write(self, link, value):
        await self.links[link][1].write_value(value)

    def values(self, link):
        return self.links[link][3]

    def now_s(self):
        return asyncio.get_running_loop().time()

    # ------------------------------------------------------------ the manager

    def manage(self, seed=5):
        self.state = ManagerState.new(Random(seed))
        self.manager = Manager.start(self.state, Random(seed + 1), now_s=self.now_s())
        self._pumping = asyncio.create_task(self._pump())

    async def _pump(self):
        while True:
            now_s = self.now_s()
            due_s = self.manager.next_timer_s()
            if due_s is not None and due_s <= now_s:
                self.manager.handle_timer(now_s)
            self._take_events()
            for out in self.manager.pdus_to_send(now_s):
                if out.link in self.links:
                    await self.write(out.link, out.data)
            self._take_events()
            await asyncio.sleep(0.005)

    def _take_events(self):
        while (event := self.manager.next_event()) is not None:
            if isinstance(event, Store):
                self.state = self.state.updated(event)
                self.manager.stored(event.ticket, self.now_s())
            else:
                self.events.append(event)

    async def until(self, wanted, timeout_s=10.0):
        """Wait for an event that fits."""
        async with asyncio.timeout(timeout_s):
            while True:
                for event in self.events:
                    if wanted(event):
                        self.events.remove(event)
                        return event
                await asyncio.sleep(0.01)

    async def provision(self, name, oob=None, timeout_s=10.0):
        """Provision a node over its own link; gives its address."""
        (seen,) = await self.find(name, service=PROVISIONING)
        invitation = Invitation(seen.data[:16])
        if oob is not None:
            invitation = replace(invitation, oob=oob)
        self._open = lambda link, room: self.manager.open_provisioning(
            link, room, invitation, self.now_s()
        )
        link = await self.connect(seen, PROVISIONING)
        event = await self.until(
            lambda e: (
                isinstance(e, NodeProvisioned)
                or (isinstance(e, ProvisioningSaid) and "Failed" in type(e.event).__name__)
            ),
            timeout_s,
        )
        await self.hang_up(link)
        if isinstance(event, ProvisioningSaid):
            return event.event
        return event.node.unicast

    async def join(self, name):
        """Connect to a node as a proxy."""
        (seen,) = await self.find(name, service=PROXY)
        self._open = lambda link, room: self.manager.open_proxy(link, room, self.now_s())
        return await self.connect(seen, PROXY)

    async def ask(self, dst, message, app_index=None, **more):
        """Ask a node; gives the answer."""
        number = self.manager.request(dst, message, app_index=app_index, **more)
        event = await self.until(
            lambda e: isinstance(e, Answered | Unanswered) and e.id == number, 30
        )
        assert isinstance(event, Answered), event
        return event.answer

    async def configure(self, unicast, period=0):
        """Give a node the AppKey, bind all models to it, let all publish to a group."""
        composition = Composition.decode(
            (await self.ask(unicast, config_node.CompositionGet())).data
        )
        key = self.manager.stack.keys.apps[0].current.key
        await self.ask(unicast, config_keys.AppKeyAdd((0, 0), key))
        for number, element in enumerate(composition.elements):
            for model in element.models:
                if model.company is None and model.model in (0x0000, 0x1101):
                    continue
                await self.ask(unicast, config_models.ModelAppBind(unicast + number, 0, model))
                if period:
                    await self.ask(
                        unicast,
                        config_models.PublicationSet(
                            unicast + number, GROUP, 0, 0xFF, period, 0, model
                        ),
                    )
        return composition

    async def take_in(self, name, period=0):
        """Provision a node, use it as the proxy, configure it; gives its address."""
        unicast = await self.provision(name)
        await self.join(name)
        await self.configure(unicast, period)
        return unicast


@pytest.fixture
def lunar():
    return load_definition("lunar")


@pytest.fixture
def raise_fleet(lunar, tmp_path):
    """Make fleets that end with the test."""

    @contextlib.asynccontextmanager
    async def raised(nodes=4, definition=lunar, folder=tmp_path / "air", **more):
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        fleet = Fleet.make(
            definition,
            folder,
            start_us=START_US,
            site_us=lambda: START_US + round((loop.time() - begin_s) * 1e6),
            nodes=nodes,
            secrets=Random(7),
            **more,
        )
        port = await fleet.start()
        try:
            yield fleet, port
        finally:
            await fleet.stop()

    return raised


@pytest.fixture
def open_gateway():
    @contextlib.asynccontextmanager
    async def opened(port):
        gateway = await Gateway(port).open()
        try:
            yield gateway
        finally:
            await gateway.close()

    return opened
