"""The GATT table of a virtual peripheral, served by Bumble's GATT server without its device.

What the server wants of a device is one function that sends, and of a connection a handle and
an ATT_MTU; so no host and no controller is needed per node.
"""

from collections.abc import Callable, Sequence

from bumble import att, gatt_server
from bumble.core import UUID
from bumble.gatt import Characteristic, CharacteristicValue, Service

GAP_SERVICE, DEVICE_NAME, APPEARANCE = 0x1800, 0x2A00, 0x2A01
READ = Characteristic.Properties.READ
WRITE_COMMAND = Characteristic.Properties.WRITE_WITHOUT_RESPONSE
NOTIFY = Characteristic.Properties.NOTIFY


class Bearer:
    """One connection, as the GATT server knows it.

    Args:
        handle: any number.
    """

    encryption = 0
    authenticated = False

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.att_mtu = att.ATT_DEFAULT_MTU

    def on_att_mtu_update(self, mtu: int) -> None:
        """Take the ATT_MTU that was agreed on."""
        self.att_mtu = mtu


class Table:
    """The services of a peripheral while one central is connected.

    Args:
        services: what it offers, besides its name.
        name: the device's.
        mtu_max: the largest ATT_MTU it agrees to.
        send: takes this table and an ATT PDU for the central.
    """

    def __init__(
        self,
        services: Sequence[Service],
        name: str,
        mtu_max: int,
        send: "Callable[[Table, bytes], None]",
    ) -> None:
        self.bearer = Bearer(1)
        self.server = gatt_server.Server(_Sender(lambda pdu: send(self, pdu)))  # type: ignore[arg-type] # see above
        self.server.max_mtu = mtu_max
        self.server.add_services([gap_service(name), *services])

    @property
    def room_bytes(self) -> int:
        """The longest value of one notification."""
        return self.bearer.att_mtu - 3

    def receive(self, pdu: bytes) -> None:
        """Take an ATT PDU of the central.

        Raises:
            bumble.core.InvalidPacketError: it cannot be read.
        """
        self.server.on_gatt_pdu(self.bearer, att.ATT_PDU.from_bytes(pdu))  # type: ignore[arg-type]

    def notify(self, characteristic: Characteristic[bytes], value: bytes) -> None:
        """Send a notification, if the central has subscribed."""
        subscribed = self.server.subscribers.get(self.bearer, {})  # type: ignore[call-overload]
        if subscribed.get(characteristic.handle, b"\0")[0] & 1:
            pdu = att.ATT_Handle_Value_Notification(
                attribute_handle=characteristic.handle, attribute_value=value
            )
            self.server.send_gatt_pdu(self.bearer, bytes(pdu))  # type: ignore[arg-type]


class _Sender:
    """The part of a device that the GATT server uses."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def send_l2cap_pdu(self, handle: int, cid: int, pdu: bytes) -> None:
        del handle, cid
        self._send(pdu)


def gap_service(name: str) -> Service:
    """Make the Generic Access service."""
    return Service(
        UUID.from_16_bits(GAP_SERVICE),
        [
            _readable(DEVICE_NAME, name.encode()),
            _readable(APPEARANCE, bytes(2)),
        ],
    )


def _readable(uuid: int, value: bytes) -> Characteristic[bytes]:
    return Characteristic(UUID.from_16_bits(uuid), READ, Characteristic.READABLE, value)


def in_characteristic(
    uuid: int, receive: Callable[[bytes], None], *, permissions: int = Characteristic.WRITEABLE
) -> Characteristic[bytes]:
    """Make a characteristic that the central writes without response."""
    written = CharacteristicValue(write=lambda _, value: receive(value))
    allowed = Characteristic.Permissions(permissions)
    return Characteristic(UUID.from_16_bits(uuid), WRITE_COMMAND, allowed, written)


def out_characteristic(uuid: int, subscribed: Callable[[bool], None]) -> Characteristic[bytes]:
    """Make a characteristic that notifies."""
    made: Characteristic[bytes] = Characteristic(
        UUID.from_16_bits(uuid), NOTIFY, Characteristic.Permissions(0), b""
    )
    made.on(made.EVENT_SUBSCRIPTION, lambda _bearer, notify, _indicate: subscribed(notify))
    return made
