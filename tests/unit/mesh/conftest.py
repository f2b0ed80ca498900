"""Nodes and a gateway joined in memory: a clock, an air, links, and stores that are kept."""

from random import Random

import pytest

from dunes.mesh.links import AIR, LinkRefused
from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import ManagerState
from dunes.mesh.models import config_keys, config_models
from dunes.mesh.models.generic_server import LevelServer, OnOffServer
from dunes.mesh.models.habitat import habitat
from dunes.mesh.models.habitat_server import HabitatServer
from dunes.mesh.models.health_server import HealthServer
from dunes.mesh.models.sensor_server import SensorServer, SensorSetupServer
from dunes.mesh.node import Node
from dunes.mesh.nodestate import Description, NodeState
from dunes.mesh.provisionings import Invitation, NodeProvisioned, ProvisioningSaid
from dunes.mesh.requests import Answered, Unanswered
from dunes.mesh.state import Store
from dunes.mesh.status import Status
from dunes.mesh.wire import ModelId

ROOM = 20
GROUP = 0xC001


class Side:
    """A node or the gateway, with what its host stored and saw."""

    def __init__(self, core, state):
        self.core = core
        self.state = state
        self.events = []
        self.seqs = set()
        self.store = True

    def serve(self, now_s):
        while (event := self.core.next_event()) is not None:
            if isinstance(event, Store):
                if isinstance(self.core, Manager):
                    self.state = self.state.updated(event)
                else:
                    self.state = NodeState.updated(self.state, event)
                if self.store:
                    self.core.stored(event.ticket, now_s)
            else:
                self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def server(self, kind):
        elements = self.core.description.elements
        return next(each for each in elements[0] if type(each).__name__ == kind)

    def take(self, kind):
        found = self.of(kind)
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return found


def servers():
    sensor = SensorServer.of(0x0075, 0x0076)
    return [
        [
            HealthServer(),
            OnOffServer(),
            LevelServer(),
            sensor,
            SensorSetupServer(server=sensor),
            HabitatServer(),
        ],
        [OnOffServer()],
    ]


def describe(number, **more):
    uuid = bytes([number]) * 6 + b"\x40" + bytes([number]) + b"\x80" + bytes([number]) * 7
    return Description(uuid, servers(), **more)


class World:
    """Everybody hears everybody on the air, but for those in `deaf` pairs."""

    def __init__(self, seed=1, block=50):
        self.now_s = 0.0
        self.rng = Random(seed)
        self.block = block
        state = ManagerState.new(Random(seed))
        manager = Manager.start(state, Random(seed + 1), now_s=0.0, block=block)
        self.gateway = Side(manager, state)
        self.nodes = []
        self.links = {}
        self.loss = 0.0
        self.drop = lambda *_: False
        self.neighbours = None
        self.log = []
        self._link = 0

    @property
    def manager(self):
        return self.gateway.core

    def add(self, **more):
        number = len(self.nodes) + 1
        description = describe(number, **more)
        node = Node.start(description, Random(100 + number), now_s=self.now_s, block=self.block)
        side = Side(node, None)
        self.nodes.append(side)
        return side

    def connect(self, side):
        self._link += 1
        self.links[self._link] = side
        side.core.connected(self._link, ROOM, self.now_s)
        return self._link

    def disconnect(self, link):
        side = self.links.pop(link)
        side.core.disconnected(link)
        self.manager.closed(link, self.now_s)

    def step(self):
        """Carry everything once; say whether anything moved."""
        moved = False
        for side in [self.gateway, *self.nodes]:
            side.serve(self.now_s)
        for out in self.manager.pdus_to_send(self.now_s):
            moved = True
            side = self.links.get(out.link)
            if side is not None and not self.lost("node", out):
                side.core.receive_pdu(out.link, out.data, self.now_s)
        for side in self.nodes:
            for out in side.core.pdus_to_send(self.now_s):
                moved = True
                if out.link == AIR:
                    self.broadcast(side, out)
                elif out.link in self.links and not self.lost("gateway", out):
                    self.manager.receive_pdu(out.link, out.data, self.now_s)
        for side in [self.gateway, *self.nodes]:
            side.serve(self.now_s)
        for refused in self.gateway.of(LinkRefused):
            self.links.pop(refused.link, None)
        return moved

    def lost(self, to, out):
        self.log.append((self.now_s, to, out))
        return self.drop(to, out.link, out.data)  # a GATT link loses nothing by itself

    def broadcast(self, sender, out):
        self.log.append((self.now_s, "air", out))
        for side in self.nodes:
            if side is sender:
                continue
            pair = {self.nodes.index(side), self.nodes.index(sender)}
            if self.neighbours is not None and pair not in self.neighbours:
                continue
            heard = any(self.rng.random() >= self.loss for _ in range(out.sends))
            if heard and not self.drop("air", AIR, out.data):
                side.core.receive_pdu(AIR, out.data, self.now_s)

    def settle(self):
        for _ in range(500):
            if not self.step():
                return
        raise AssertionError("it never settles")

    def run(self, seconds, until=None):
        end_s = self.now_s + seconds
        sides = [self.gateway, *self.nodes]
        self.wake(sides)
        while self.now_s < end_s and not (until and until()):
            timers = [side.core.next_timer_s() for side in sides]
            due_s = min((each for each in timers if each is not None), default=end_s)
            assert due_s > self.now_s, "a host that obeys its timers spins"
            self.now_s = min(due_s, end_s)
            self.wake(sides)

    def wake(self, sides):
        for side in sides:
            side.core.handle_timer(self.now_s)
        self.settle()

    def provision(self, side, **more):
        link = self.connect(side)
        uuid = side.core.description.uuid
        self.manager.open_provisioning(link, ROOM, Invitation(uuid, **more), self.now_s)
        self.settle()
        self.disconnect(link)
        found = self.gateway.take(NodeProvisioned)
        self.gateway.take(ProvisioningSaid)
        return found[-1].node if found else None

    def proxy(self, side, **more):
        link = self.connect(side)
        self.manager.open_proxy(link, ROOM, self.now_s, **more)
        self.settle()
        return link

    def ask(self, dst, message, *, seconds=20.0, **more):
        """Ask and give the answer, or None."""
        number = self.manager.request(dst, message, **more)

        def over():
            events = self.gateway.of(Answered) + self.gateway.of(Unanswered)
            return any(event.id == number for event in events)

        self.run(seconds, until=over)
        events = self.gateway.take(Answered) + self.gateway.take(Unanswered)
        (event,) = [event for event in events if event.id == number]
        return event.answer if isinstance(event, Answered) else None

    def configure(self, node, *, app=0):
        key = self.manager.stack.keys.apps[app].current.key
        habitat_server = habitat().server
        sig = [ModelId(model) for model in (0x0002, 0x1000, 0x1002, 0x1100, 0x1101)]
        messages = [config_keys.AppKeyAdd((0, app), key)]
        bound = [*sig, habitat_server]
        messages += [config_models.ModelAppBind(node.unicast, app, model) for model in bound]
        messages.append(config_models.SubscriptionAdd(node.unicast, GROUP, ModelId(0x1000)))
        for model in (ModelId(0x1100), habitat_server):
            say = config_models.PublicationSet(node.unicast, GROUP, app, 0xFF, 0, 0, model)
            messages.append(say)
        for message in messages:
            assert self.ask(node.unicast, message).status == Status.SUCCESS


@pytest.fixture
def world():
    return World()


@pytest.fixture
def pair(world):
    """Two nodes, provisioned and configured; the first is our proxy."""
    for _ in range(2):
        world.add()
    found = [world.provision(side) for side in world.nodes]
    world.proxy(world.nodes[0], node=found[0].unicast)
    world.run(1.0)
    for node in found:
        world.configure(node)
    world.gateway.events.clear()
    return world
