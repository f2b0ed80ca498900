"""A radio whose far end is real `Node` state machines in this process: SAR, several links, air.

Nothing of the gateway is replaced: its runner connects, writes and is notified as over GATT.
"""

import asyncio
from contextlib import asynccontextmanager, suppress
from random import Random

from dunes.ble.errors import RadioLost
from dunes.ble.radio import Advertisement, Service
from dunes.mesh.links import AIR, LinkRefused
from dunes.mesh.models.generic_server import LevelServer, OnOffServer
from dunes.mesh.models.habitat_server import HabitatServer
from dunes.mesh.models.health_server import HealthServer
from dunes.mesh.models.properties import PROPERTIES
from dunes.mesh.models.sensor_server import SensorServer, SensorSetupServer
from dunes.mesh.node import Node, NodeReset
from dunes.mesh.nodestate import Description, NodeState
from dunes.mesh.state import Store

ROOM = 20
ADVERTISE_S = 0.03


def uuid_of(number):
    return b"dunes" + bytes([number >> 8]) + b"\x40" + bytes([number & 255]) + b"\x80" + bytes(7)


async def until(true, limit_s=10.0):
    """Wait for something that another task brings about."""
    async with asyncio.timeout(limit_s):
        while not true():  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.01)


class Hosted:
    """A node with the host around it: what it stored, how it advertises, its faults."""

    def __init__(self, site, number, name, **more):
        self.site, self.number, self.name = site, number, name
        self.address = f"F0:00:00:00:{number >> 8:02X}:{number & 255:02X}"
        sensor = SensorServer.of(0x0075, 0x0076)
        self.sensor, self.onoff = sensor, OnOffServer()
        self.habitat = HabitatServer()
        servers = [
            HealthServer(),
            self.onoff,
            LevelServer(),
            sensor,
            SensorSetupServer(server=sensor),
            self.habitat,
        ]
        description = Description(uuid_of(number), [servers], **more)
        self.node = Node.start(description, Random(1000 + number), now_s=site.now_s, block=50)
        self.state = None
        self.events = []
        self.links = {}
        self.due_s = 0.0
        self.silent = False  # does not advertise, does not answer
        self.wrong = None  # changes what it sends on a link: bytes -> bytes
        self.hang_up_after = None  # values it takes on a link before it hangs up
        self.provisioned = 0

    def advertisement(self):
        said = self.node.advertising(self.site.now_s)
        if said is None or self.silent or self.links:
            return None
        first = said.service == Service.PROVISIONING.value
        return Advertisement(
            self.address,
            -60,
            self.name,
            said.data if first else None,
            None if first else said.data,
        )

    def serve(self):
        now_s = self.site.now_s
        while (event := self.node.next_event()) is not None:
            if isinstance(event, Store):
                self.state = NodeState.updated(self.state, event)
                self.node.stored(event.ticket, now_s)
                continue
            self.events.append(event)
            if isinstance(event, LinkRefused) and event.link in self.links:
                self.links[event.link].break_()
            if type(event).__name__ == "Provisioned":
                self.provisioned += 1
            if isinstance(event, NodeReset):
                self.state = None

    def restart(self):
        """Lose power; go on from what was stored."""
        for link in list(self.links.values()):
            link.break_()
        self.node = Node.start(
            self.node.description, Random(), now_s=self.site.now_s, state=self.state, block=50
        )

    def report(self, kind, number, *, alert=False):
        message = self.habitat.report(kind, number, self.site.now_s, alert=alert)
        assert self.node.publish(0, self.habitat, message, self.site.now_s)
        self.site.kick.set()

    def publish_sensor(self, **numbers):
        for name, number in numbers.items():
            known = next(p for p in PROPERTIES.values() if p.name == name and p.size > 1)
            self.sensor.set_value(known.id, number, self.site.now_s)
        message = self.sensor.publication(self.site.now_s)
        assert self.node.publish(0, self.sensor, message, self.site.now_s)
        self.site.kick.set()


class FakeLink:
    def __init__(self, hosted, number):
        self.address, self.room_bytes = hosted.address, ROOM
        self.hosted, self.number = hosted, number
        self.inbox = asyncio.Queue()
        self.up = True
        self.taken = 0

    async def send(self, value):
        if not self.up:
            raise RadioLost(f"{self.address} is not connected")
        assert len(value) <= self.room_bytes
        hosted = self.hosted
        self.taken += 1
        if hosted.hang_up_after is not None and self.taken > hosted.hang_up_after:
            hosted.hang_up_after = None
            self.break_()
            raise RadioLost(f"{self.address} hung up")
        if not hosted.silent:
            hosted.node.receive_pdu(self.number, value, hosted.site.now_s)
        hosted.site.kick.set()
        await asyncio.sleep(0)

    async def receive(self):
        value = await self.inbox.get()
        if value is None:
            self.inbox.put_nowait(None)
            raise RadioLost(f"{self.address} hung up")
        return value

    def break_(self):
        if self.up:
            self.up = False
            self.hosted.links.pop(self.number, None)
            self.hosted.node.disconnected(self.number)
            self.inbox.put_nowait(None)

    async def close(self):
        self.break_()


class FakeRadio:
    simulated = True
    name = "in-process"

    def __init__(self, site, links_max=4):
        self.site, self.links_max = site, links_max
        self.open = self.most = self.connects = 0
        self.gone = False
        self.forgotten = []

    @asynccontextmanager
    async def scan(self):
        queue = asyncio.Queue()
        self.site.scanners.append(queue)

        async def heard():
            while True:
                advertisement = await queue.get()
                if advertisement is None:
                    raise RadioLost("the adapter is gone")
                yield advertisement

        try:
            yield heard()
        finally:
            self.site.scanners.remove(queue)

    async def connect(self, address, service, *, timeout_s):
        self.connects += 1
        del timeout_s
        await asyncio.sleep(0.001)
        hosted = next((each for each in self.site.hosted if each.address == address), None)
        if self.gone or hosted is None or hosted.silent or hosted.links:
            raise RadioLost(f"{address} is not in reach")
        said = hosted.node.advertising(self.site.now_s)
        if said is None or said.service != service.value:
            raise RadioLost(f"{address} does not have {service.name}")
        self.site.links += 1
        link = FakeLink(hosted, self.site.links)
        hosted.links[link.number] = link
        hosted.node.connected(link.number, ROOM, self.site.now_s)
        self.site.kick.set()
        self.most = max(self.most, len(self.site.open_links()))
        return link

    async def forget(self, address):
        self.forgotten.append(address)

    def unplug(self):
        self.gone = True
        for link in self.site.open_links():
            link.break_()
        for queue in self.site.scanners:
            queue.put_nowait(None)

    async def close(self):
        for link in self.site.open_links():
            link.break_()


class Site:
    """All nodes, and the air between them."""

    def __init__(self, count=0, **more):
        self.hosted = []
        self.scanners = []
        self.links = 0
        self.kick = asyncio.Event()
        for _ in range(count):
            self.add(**more)

    @property
    def now_s(self):
        return asyncio.get_running_loop().time()

    def add(self, name=None, **more):
        number = len(self.hosted) + 1
        hosted = Hosted(self, number, name or f"hab-sensor-{number:03d}", **more)
        self.hosted.append(hosted)
        return hosted

    def open_links(self):
        return [link for each in self.hosted for link in list(each.links.values())]

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(self.run()), asyncio.create_task(self.advertise())]
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        for result in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def advertise(self):
        while True:
            for each in self.hosted:
                said = each.advertisement()
                for queue in self.scanners if said else ():
                    queue.put_nowait(said)
            await asyncio.sleep(ADVERTISE_S)

    async def run(self):
        while True:
            moved = self.step()
            if moved:
                await asyncio.sleep(0)
                continue
            timers = [each.node.next_timer_s() for each in self.hosted]
            due_s = min((each for each in timers if each is not None), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await self.kick.wait()
            self.kick.clear()

    def step(self):
        moved = False
        for each in self.hosted:
            each.serve()
            timer_s = each.node.next_timer_s()
            if timer_s is not None and timer_s <= self.now_s:
                each.node.handle_timer(self.now_s)
            each.serve()
            for out in each.node.pdus_to_send(self.now_s):
                moved = True
                if out.link == AIR:
                    self.broadcast(each, out.data)
                elif out.link in each.links and not each.silent:
                    data = out.data if each.wrong is None else each.wrong(out.data)
                    each.links[out.link].inbox.put_nowait(data)
            each.serve()
        return moved

    def broadcast(self, sender, data):
        for each in self.hosted:
            if each is not sender and not each.silent:
                each.node.receive_pdu(AIR, data, self.now_s)
