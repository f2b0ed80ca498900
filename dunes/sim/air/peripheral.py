"""A node's radio towards a central: advertising, one link, L2CAP and ATT.

No host and no HCI: what a central can see of it is all there is.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bumble import hci, ll
from bumble.core import InvalidArgumentError, InvalidPacketError, PhysicalTransport
from bumble.gatt import Characteristic, Service

from dunes.sim.air.controller import GatewayController, Heard
from dunes.sim.air.gatt import Table
from dunes.sim.air.medium import Medium

ATT_CID, SIGNALLING_CID, SMP_CID = 4, 5, 6
L2CAP_HEADER = 4
REJECT, NOT_UNDERSTOOD = 0x01, bytes(2)
"""Command Reject, and its reason (Core Specification 5.4, vol. 3, part A, 4.1)."""
PAIRING_FAILED = bytes([0x05, 0x05])
"""Pairing not supported (vol. 3, part H, 3.5.5)."""
MTU_MAX = 247
"""What common node firmware agrees to; a board's default of 23 can be set."""
ADVERTISING_BYTES_MAX = 31
AD_FLAGS, AD_UUIDS, AD_SERVICE_DATA, AD_NAME = 0x01, 0x03, 0x16, 0x09
FLAGS = 0x06
"""General discoverable, no BR/EDR."""
FADING_DB = 2.0
"""Standard deviation of the strength from one advertisement to the next."""
REMOTE_USER = hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR

log = logging.getLogger(__name__)


def _nothing(*_: object) -> None:
    return


@dataclass(slots=True, eq=False)
class Peripheral:
    """One of them.

    Attributes:
        medium: what it is in.
        address: its own; a static random one.
        name: the local name in its scan response, and in its GAP service.
        services: gives what it offers, whenever a central connects.
        interval_s: between two advertisements.
        rssi_dbm: as the gateway hears it.
        mtu_max: the largest ATT_MTU it agrees to.
        connected, disconnected: told about the link.
        advertising: whether it advertises, connectably.
    """

    medium: Medium
    address: hci.Address
    name: str
    services: Callable[[], Sequence[Service]]
    interval_s: float = 0.1
    rssi_dbm: float = -60.0
    mtu_max: int = MTU_MAX
    connected: Callable[[], None] = _nothing
    disconnected: Callable[[], None] = _nothing
    advertising: bool = False
    table: Table | None = None
    _data: bytes = b""
    _scan_response: bytes = b""
    _central: GatewayController | None = None
    _central_address: hci.Address | None = field(default=None)

    # ---------------------------------------------------------------- advertising

    def set_advertising(self, service: int, data: bytes, interval_s: float) -> None:
        """Advertise a service with its data, from now on."""
        uuid = service.to_bytes(2, "little")
        self._data = (
            _ad(AD_FLAGS, bytes([FLAGS])) + _ad(AD_UUIDS, uuid) + _ad(AD_SERVICE_DATA, uuid + data)
        )
        self._scan_response = _ad(AD_NAME, self.name.encode()[: ADVERTISING_BYTES_MAX - 2])
        self.interval_s = interval_s
        if not self.advertising and self._central is None:
            self.advertising = True
            self.medium.advertising_changed(self)

    def stop_advertising(self) -> None:
        """Be silent."""
        self.advertising = False

    def advertise(self, rng: Random) -> Heard:
        """Give one advertisement."""
        rssi_dbm = round(min(max(self.rssi_dbm + rng.gauss(0, FADING_DB), -127), 20))
        return Heard(self.address, self._data, self._scan_response, rssi_dbm)

    # ---------------------------------------------------------------- the link

    @property
    def is_connected(self) -> bool:
        """Say whether a central is connected."""
        return self._central is not None

    def connect(self, central: GatewayController, address: hci.Address) -> None:
        """Take a connection request to our advertisement."""
        if not self.advertising or self._central is not None:
            return
        self.advertising = False
        self._central, self._central_address = central, address
        self.table = Table(self.services(), self.name, self.mtu_max, self._send_att)
        self.connected()

    def hang_up(self, reason: int = REMOTE_USER) -> None:
        """End the link."""
        central = self._central
        self._gone()
        if central is not None:
            loop = asyncio.get_running_loop()
            loop.call_soon(_end, central, self.address, reason)

    def notify(self, characteristic: Characteristic[bytes], value: bytes) -> None:
        """Notify the central, if it is there and has subscribed."""
        if self.table is not None:
            self.table.notify(characteristic, value)

    def _gone(self) -> None:
        if self._central is None:
            return
        self._central = self._central_address = self.table = None
        self.disconnected()

    # ---------------------------------------------------------------- what comes

    def receive_control(self, sender: hci.Address, packet: ll.ControlPdu) -> None:
        """Take a link layer control PDU."""
        if sender != self._central_address:
            return
        match packet:
            case ll.TerminateInd():
                self._gone()
            case ll.FeatureReq():
                self._control(ll.FeatureRsp(feature_set=bytes(8)))
            case ll.EncReq():
                self._control(
                    ll.RejectExtInd(
                        reject_opcode=ll.ControlPdu.Opcode.LL_ENC_REQ,
                        error_code=hci.HCI_ErrorCode.UNSUPPORTED_REMOTE_FEATURE_ERROR,
                    )
                )
            case _:  # e.g. new connection parameters: as the central likes
                return

    def receive_frame(self, sender: Any, frame: bytes) -> None:
        """Take a whole L2CAP frame."""
        if sender is not self._central or self.table is None or len(frame) < L2CAP_HEADER:
            return
        channel, payload = int.from_bytes(frame[2:4], "little"), frame[L2CAP_HEADER:]
        if channel == ATT_CID:
            try:
                self.table.receive(payload)
            except (InvalidPacketError, InvalidArgumentError, IndexError, ValueError) as error:
                log.warning("%s: an ATT PDU that cannot be read: %s", self.name, error)
        elif channel == SIGNALLING_CID and len(payload) > 1 and payload[0] != REJECT:
            length = len(NOT_UNDERSTOOD).to_bytes(2, "little")
            rejected = bytes([REJECT, payload[1]]) + length + NOT_UNDERSTOOD
            self._send_frame(SIGNALLING_CID, rejected)
        elif channel == SMP_CID:
            self._send_frame(SMP_CID, PAIRING_FAILED)

    # ---------------------------------------------------------------- what goes

    def _control(self, packet: ll.ControlPdu) -> None:
        if self._central is not None:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._central.on_ll_control_pdu, self.address, packet)

    def _send_att(self, table: Table, pdu: bytes) -> None:
        if table is self.table:  # else an answer to a central that is gone
            self._send_frame(ATT_CID, pdu)

    def _send_frame(self, channel: int, payload: bytes) -> None:
        if self._central is not None:
            head = len(payload).to_bytes(2, "little") + channel.to_bytes(2, "little")
            transport = PhysicalTransport.LE
            self._central.on_link_acl_data(self.address, transport, head + payload)


def _end(central: GatewayController, address: hci.Address, reason: int) -> None:
    """Tell a controller that a peripheral hung up, if the link is still there."""
    if address in central.le_connections:
        central.on_ll_control_pdu(address, ll.TerminateInd(reason))


def _ad(kind: int, data: bytes) -> bytes:
    return bytes([len(data) + 1, kind]) + data
