"""A virtual node: the mesh core, its radio, its storage; one pump that carries between them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from bumble.core import UUID
from bumble.gatt import Characteristic, Service

from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.mesh.beacon import PROVISIONING_SERVICE, PROXY_SERVICE
from dunes.mesh.links import AD_MESH_BEACON, AD_MESH_MESSAGE, AIR, LinkRefused, Outgoing
from dunes.mesh.node import Node, NodeEvent
from dunes.mesh.node import NodeReset as Reset
from dunes.mesh.provisioning.events import Provisioned
from dunes.mesh.state import Store
from dunes.sim.air.ear import Ear
from dunes.sim.air.faults import Faults, HangUp
from dunes.sim.air.gatt import in_characteristic, out_characteristic
from dunes.sim.air.keeper import Keeper
from dunes.sim.air.peripheral import Peripheral

DATA_IN = {PROVISIONING_SERVICE: 0x2ADB, PROXY_SERVICE: 0x2ADD}
DATA_OUT = {PROVISIONING_SERVICE: 0x2ADC, PROXY_SERVICE: 0x2ADE}
"""Characteristics of the two mesh services (Mesh Protocol 1.1, 7.1.3 and 7.2.3)."""
FAST_S, SLOW_S = 0.1525, 1.0225
"""Advertising intervals: new nodes and Node Identity, and Network ID."""
LOST = 0x08
"""A link that drops: connection timeout (Core Specification 5.4, vol. 1, part F, 2.8)."""
BEACON_AGAIN_S = 60.0
"""The same beacon again within this is not looked at."""


@dataclass(slots=True, eq=False)
class VirtualNode:
    """One node.

    Attributes:
        name: as the site calls it; its local name too.
        node: the mesh core.
        peripheral: its radio towards centrals.
        keeper: its storage.
        cast: sends on the advertising bearer.
        ear: of all nodes.
        faults: what goes wrong with it by order.
        told: gets the events that models and the network have for the host.
        clock: for what is stored.
        extras: services beside those of the mesh, made for each connection.
        restarted: called when it lives again.
        powered: False: it neither sends nor hears.
    """

    name: str
    node: Node
    peripheral: Peripheral
    keeper: Keeper
    cast: Callable[["VirtualNode", Outgoing], None]
    ear: Ear
    faults: Faults
    told: Callable[["VirtualNode", NodeEvent], None] = lambda _node, _event: None
    clock: Clock = SYSTEM_CLOCK
    extras: list[Callable[["VirtualNode"], Service]] = field(default_factory=list)
    restarted: list[Callable[[], None]] = field(default_factory=list)
    powered: bool = True
    _links: "count[int]" = field(default_factory=lambda: count(1))
    _link: int = 0
    _out: Characteristic[bytes] | None = None
    _timer: asyncio.TimerHandle | None = None
    _timer_s: float = 0.0
    _advertised: tuple[object, ...] | None = None
    _beacons: dict[bytes, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Become the peripheral's device."""
        self.peripheral.services = self._services
        self.peripheral.disconnected = self._disconnected

    def start(self) -> None:
        """Begin to live."""
        self.pump()

    def stop(self) -> None:
        """Fall silent at once, as if the battery were out."""
        self.powered = False
        self.peripheral.stop_advertising()
        self.peripheral.hang_up()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def start_again(self, core: Node) -> None:
        """Live again, with a core that was begun from storage."""
        self.node, self.powered, self._advertised = core, True, None
        for tell in self.restarted:
            tell()
        self.pump()

    # ---------------------------------------------------------------- GATT

    def _services(self) -> Sequence[Service]:
        """Make the table for a central: one mesh service, by whether we are provisioned."""
        self._link = link = next(self._links)
        service = PROXY_SERVICE if self.node.provisioned else PROVISIONING_SERVICE
        self._out = out_characteristic(
            DATA_OUT[service], lambda wanted: self._subscribed(link, wanted)
        )
        came_in = in_characteristic(DATA_IN[service], lambda value: self._written(link, value))
        mesh = Service(UUID.from_16_bits(service), [came_in, self._out])
        return [mesh, *(make(self) for make in self.extras)]

    def _subscribed(self, link: int, wanted: bool) -> None:
        table = self.peripheral.table
        if link != self._link or table is None:
            return
        if wanted:
            self.node.connected(link, table.room_bytes, self._now_s())
        else:
            self.node.disconnected(link)
        self.pump()

    def _written(self, link: int, value: bytes) -> None:
        if link != self._link or not self.powered:
            return
        try:
            if self.faults.receive(self.node, link, value):
                self.node.receive_pdu(link, value, self._now_s())
        except HangUp:
            self.peripheral.hang_up(LOST)
        self.pump()

    def _disconnected(self) -> None:
        self.node.disconnected(self._link)
        self._link, self._out = 0, None
        if self.powered:
            self.pump()

    # ---------------------------------------------------------------- the advertising bearer

    def hear(self, data: bytes) -> None:
        """Take AD type and data from another node."""
        if not self.powered or not self.node.provisioned:
            return
        if data[0] == AD_MESH_MESSAGE and not self.ear.concerns(self.node, data[1:]):
            return
        now_s = self._now_s()
        if data[0] == AD_MESH_BEACON:
            if now_s - self._beacons.get(data, -BEACON_AGAIN_S) < BEACON_AGAIN_S:
                return
            self._beacons = {data: now_s}
        if self.faults.receive(self.node, AIR, data):
            self.node.receive_pdu(AIR, data, now_s)
            self.pump()

    # ---------------------------------------------------------------- the pump

    def pump(self) -> None:
        """Carry everything that there is to carry, and arm one timer."""
        if not self.powered:
            return
        now_s = self._now_s()
        moved = True
        while moved:
            moved = self._events()
            for out in self.node.pdus_to_send(now_s):
                moved = True
                self._send(out)
        self._advertise(now_s)
        self._arm(now_s)

    def _events(self) -> bool:
        moved = False
        while (event := self.node.next_event()) is not None:
            moved = True
            match event:
                case Store():
                    self.keeper.store(self.name, event, self.clock.unix_us())
                    self.node.stored(event.ticket, self._now_s())
                case LinkRefused():
                    if event.link == self._link:
                        self.peripheral.hang_up()
                case Reset() | Provisioned():
                    self._advertised = None
                    self.told(self, event)
                case _:
                    self.told(self, event)
        return moved

    def _send(self, out: Outgoing) -> None:
        try:
            for late in self.faults.send(self.node, out):
                if late.after_s:
                    loop = asyncio.get_running_loop()
                    loop.call_later(late.after_s, self._emit, late.out)
                else:
                    self._emit(late.out)
        except HangUp:
            self.peripheral.hang_up(LOST)

    def _emit(self, out: Outgoing) -> None:
        if not self.powered:
            return
        if out.link == AIR:
            self.cast(self, out)
        elif out.link == self._link and self._out is not None:
            self.peripheral.notify(self._out, out.data)

    def _advertise(self, now_s: float) -> None:
        """Advertise what is right now, if it is another thing than before."""
        node, server = self.node, self.node.config
        identified = any(until_s > now_s for until_s in server.identity_until_s.values())
        keys = (
            tuple(subnet.transmit for subnet in node.stack.keys.subnets.values())
            if node.stack
            else ()
        )
        wanted = (node.provisioned, identified, server.config.gatt_proxy, keys)
        if wanted == self._advertised and (
            self.peripheral.advertising or self.peripheral.is_connected
        ):
            return
        self._advertised = wanted
        advertising = node.advertising(now_s)
        if advertising is None:
            self.peripheral.stop_advertising()
            return
        fast = identified or not node.provisioned
        self.peripheral.set_advertising(*advertising, FAST_S if fast else SLOW_S)

    def _arm(self, now_s: float) -> None:
        due_s = self.node.next_timer_s()
        ends = [each for each in self.node.config.identity_until_s.values() if each > now_s]
        due_s = min([each for each in (due_s, *ends) if each is not None], default=None)
        if due_s is None:
            return
        if self._timer is not None:
            if due_s == self._timer_s:
                return
            self._timer.cancel()
        self._timer_s = due_s
        self._timer = asyncio.get_running_loop().call_at(due_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if self.powered:
            self.node.handle_timer(self._now_s())
            self.pump()

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
