"""The medium between gateway controllers and the peripherals of nodes.

Bumble's own `LocalLink` hands each advertisement to every controller and finds the other end
of a link by its current random address. Here an advertisement is made only while somebody
listens for it, and a link is known by the two addresses that it was made with.
"""

import asyncio
from heapq import heapify, heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Any

from bumble import hci, ll
from bumble.core import InvalidStateError, PhysicalTransport
from bumble.link import LocalLink

if TYPE_CHECKING:
    from dunes.sim.air.controller import GatewayController
    from dunes.sim.air.peripheral import Peripheral

ADV_DELAY_MAX_S = 0.01
"""Added at random to each interval (Core Specification 5.4, vol. 6, part B, 4.4.2.2.1)."""
SLACK_S = 0.001
"""Advertisements that are due within this are sent together."""


class Medium(LocalLink):
    """Everything that is in the air around one site.

    Args:
        rng: when advertisements fall, and how strong they seem.
    """

    def __init__(self, rng: Random) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # of Bumble
        self.rng = rng
        self.peripherals: dict[hci.Address, Peripheral] = {}
        self._due: list[tuple[float, int, Peripheral]] = []
        self._queued: dict[hci.Address, int] = {}
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def gateways(self) -> "set[GatewayController]":
        """Give the controllers of hosts that are connected now."""
        return self.controllers  # type: ignore[return-value] # only such are added

    # ---------------------------------------------------------------- advertising

    def attach(self, peripheral: "Peripheral") -> None:
        """Bring a peripheral into reach."""
        self.peripherals[peripheral.address] = peripheral

    def listening_changed(self) -> None:
        """Take that a controller began or ended to scan or to connect."""
        heard = self._heard()
        known = {each.address for each in heard}
        self._due = [entry for entry in self._due if entry[2].address in known]
        heapify(self._due)
        self._queued = {entry[2].address: entry[1] for entry in self._due}
        for each in heard:
            self._queue(each, self.rng.uniform(0, each.interval_s))
        self._arm()

    def advertising_changed(self, peripheral: "Peripheral") -> None:
        """Take that a peripheral began to advertise, or advertises something else."""
        if peripheral in self._heard():
            self._queue(peripheral, 0.0)
            self._arm()

    def _heard(self) -> "list[Peripheral]":
        """Give the advertising peripherals that somebody listens for."""
        if any(each.le_scan_enable for each in self.gateways):
            return [each for each in self.peripherals.values() if each.advertising]
        wanted = [each.awaited_address for each in self.gateways]
        found = [self.peripherals[each] for each in wanted if each in self.peripherals]
        return [each for each in found if each.advertising]

    def _queue(self, peripheral: "Peripheral", wait_s: float) -> None:
        if peripheral.address in self._queued:
            return
        self._number += 1
        self._queued[peripheral.address] = self._number
        due_s = asyncio.get_running_loop().time() + wait_s
        heappush(self._due, (due_s, self._number, peripheral))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._due[0][0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        while self._due and self._due[0][0] <= now_s + SLACK_S:
            _, number, peripheral = heappop(self._due)
            if self._queued.get(peripheral.address) != number:
                continue
            del self._queued[peripheral.address]
            if not peripheral.advertising:
                continue
            advertisement = peripheral.advertise(self.rng)
            for controller in list(self.gateways):
                controller.hear(advertisement)
            if peripheral.advertising:
                delay_s = self.rng.uniform(0, ADV_DELAY_MAX_S)
                self._queue(peripheral, peripheral.interval_s + delay_s)
        self._arm()

    def close(self) -> None:
        """Let nothing be on the air any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due.clear()
        self._queued.clear()

    # ---------------------------------------------------------------- links

    def takes_links(self, address: hci.Address) -> bool:
        """Say whether a peripheral still advertises: another gateway may have been faster."""
        peripheral = self.peripherals.get(address)
        return peripheral is not None and peripheral.advertising

    def send_advertising_pdu(self, sender_controller: Any, packet: ll.AdvertisingPdu) -> None:
        """Carry a connection request to its advertiser, in the instant of its advertisement."""
        if isinstance(packet, ll.ConnectInd):
            peripheral = self.peripherals.get(packet.advertiser_address)
            if peripheral is not None:
                peripheral.connect(sender_controller, packet.initiator_address)

    def send_acl_data(
        self,
        sender_controller: Any,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Carry a whole L2CAP frame from a gateway to a peripheral."""
        del transport
        peripheral = self.peripherals.get(destination_address)
        if peripheral is not None:
            peripheral.receive_frame(sender_controller, data)

    def send_ll_control_pdu(
        self,
        sender_address: hci.Address,
        receiver_address: hci.Address,
        packet: ll.ControlPdu,
    ) -> None:
        """Carry a link layer control PDU from a gateway to a peripheral."""
        peripheral = self.peripherals.get(receiver_address)
        if peripheral is not None:
            peripheral.receive_control(sender_address, packet)

    def send_lmp_packet(self, *_: Any) -> None:
        """Refuse: there is no BR/EDR here."""
        raise InvalidStateError("the virtual radio has no BR/EDR")
