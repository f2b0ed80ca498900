"""One GATT link over Bumble's host: set up, write, be notified, hang up.

Bumble's traps, each handled here:

- A request that waits when the link drops ends in `asyncio.CancelledError`, which looks as if
  our own task had been cancelled; one that is made after the drop waits 30 s. So set-up runs in
  a task of its own, beside the event "link lost", under a limit.
- Subscribing to a characteristic without a CCCD succeeds, with a line in the log.
- `disconnect()` of a link that is gone may never come back.
- Writes are queued without bound.
"""

import asyncio
import contextlib
from typing import Any

from dunes.ble.attempts import SETUP_S
from dunes.ble.errors import RadioLost, ServiceMissing
from dunes.ble.gatt import ATTRIBUTE_BYTES_MAX, IN_OUT, WAITING_MAX, service_name
from dunes.ble.mailbox import Mailbox
from dunes.ble.radio import Service, uuid_text
from dunes.ble.undisturbed import undisturbed

ATT_MTU = 517
"""What we ask for: room for an attribute of 512 octets."""
WRITE_HEADER_BYTES = 3
QUEUED_MAX = 16
"""Writes that the controller has not taken yet; `send` waits beyond."""
HANG_UP_S = 3.0
SEND_S = 10.0
"""A controller that takes nothing for so long has lost the peer or its mind."""


class HciLink:
    """A link to a node, over a connection of Bumble.

    Args:
        connection: Bumble's, up.
        address: as in the advertisement.
    """

    def __init__(self, connection: Any, address: str) -> None:
        self.address = address
        self.room_bytes = 0
        self._connection = connection
        self._entrance: Any = None
        self._inbox: Mailbox[bytes] = Mailbox(WAITING_MAX)
        self._gone = asyncio.Event()
        self._hanging_up: asyncio.Task[None] | None = None
        connection.on("disconnection", self._on_disconnection)

    async def set_up(self, service: Service) -> None:
        """Agree on the size of values, find the service, subscribe; hang up if that fails.

        Raises:
            RadioLost: the link dropped, or there was no answer within 6 s.
            ServiceMissing: the node does not have the service.
        """
        work = asyncio.create_task(self._discover(service))
        gone = asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait({work, gone}, timeout=SETUP_S, return_when="FIRST_COMPLETED")
            self._judge(work)
        except BaseException:
            await self.close()
            raise
        finally:
            await _end(work)
            await _end(gone)

    def _judge(self, work: "asyncio.Task[None]") -> None:
        """Raise what went wrong with the set-up, if anything did."""
        if self._gone.is_set():
            self._inbox.check()
        if not work.done():
            raise RadioLost(f"gave no answer to GATT requests in {SETUP_S:.0f} s")
        if work.cancelled():
            raise RadioLost("hung up")
        work.result()

    async def _discover(self, service: Service) -> None:
        from bumble.att import ATT_Error
        from bumble.core import BaseBumbleError
        from bumble.device import Peer
        from bumble.gatt import GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR

        peer = Peer(self._connection)
        entrance, exit_ = (_uuid(number) for number in IN_OUT[service])
        name = service_name(service)
        try:
            with contextlib.suppress(ATT_Error):  # it knows no such request: 23 it is
                await peer.request_mtu(ATT_MTU)
            found = list(await peer.discover_service(_uuid(service.value)))
            if not found:
                raise ServiceMissing(f"it has no {name}")
            await found[0].discover_characteristics()
            ways_in = found[0].get_characteristics_by_uuid(entrance)
            ways_out = found[0].get_characteristics_by_uuid(exit_)
            if not ways_in or not ways_out:
                raise ServiceMissing(f"its {name} lacks a characteristic")
            await ways_out[0].discover_descriptors()
            if not ways_out[0].get_descriptor(GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR):
                raise ServiceMissing(f"its {name} cannot be subscribed to")
            await ways_out[0].subscribe(self._on_value)
        except BaseBumbleError as e:
            raise RadioLost(f"GATT set-up failed: {type(e).__name__}: {e}"[:200]) from e
        self._entrance = ways_in[0]
        self.room_bytes = min(self._connection.att_mtu - WRITE_HEADER_BYTES, ATTRIBUTE_BYTES_MAX)

    async def send(self, value: bytes) -> None:
        """Write one value without response; waits while the controller is busy."""
        from bumble.core import BaseBumbleError

        self._inbox.check()
        try:
            await self._entrance.write_value(value, with_response=False)
        except BaseBumbleError as e:
            raise RadioLost(f"node {self.address}: cannot write: {e}"[:200]) from e
        queue = self._connection.device.host.get_data_packet_queue(self._connection.handle)
        if queue is not None and queue.pending > QUEUED_MAX:
            await self._drain(queue)
        self._inbox.check()

    async def _drain(self, queue: Any) -> None:
        drained = asyncio.create_task(queue.drain(self._connection.handle))
        gone = asyncio.create_task(self._gone.wait())
        try:
            done, _ = await asyncio.wait(
                {drained, gone}, timeout=SEND_S, return_when="FIRST_COMPLETED"
            )
            if not done:
                raise RadioLost(f"node {self.address}: nothing went out in {SEND_S:.0f} s")
        finally:
            await _end(drained)
            await _end(gone)

    async def receive(self) -> bytes:
        """Give the next notified value."""
        return await self._inbox.get()

    async def close(self) -> None:
        """Hang up; quietly if that has happened."""
        self._inbox.close(RadioLost(f"the link to node {self.address} was closed"))
        if not self._gone.is_set():
            await undisturbed(hang_up(self._connection))

    def lose(self, why: RadioLost) -> None:
        """Take note that the link is gone."""
        self._inbox.close(why)
        self._gone.set()

    @property
    def gone(self) -> bool:
        """Whether the connection has ended."""
        return self._gone.is_set()

    def _on_value(self, value: bytes) -> None:
        if not self._inbox.put(bytes(value)) and not self._inbox.closed:
            self._inbox.close(
                RadioLost(f"node {self.address} notified more than {WAITING_MAX} values unread")
            )
            self._hanging_up = asyncio.create_task(hang_up(self._connection))

    def _on_disconnection(self, reason: int) -> None:
        from bumble.hci import HCI_Constant

        if not reason:  # no reason of the air: Bumble drops its links with its controller
            self.lose(RadioLost(f"the link to node {self.address} is gone with the controller"))
            return
        name = HCI_Constant.error_name(reason)  # type: ignore[no-untyped-call]  # Bumble's
        name = name.replace("_ERROR", "").replace("_", " ").lower()
        self.lose(RadioLost(f"node {self.address} hung up: {name} (0x{reason:02X})"))


def _uuid(number: int) -> Any:
    """Make Bumble's UUID; the short ones have to be short, as they are compared as they go out."""
    from bumble.core import UUID

    return UUID.from_16_bits(number) if number < 1 << 16 else UUID(uuid_text(number))


async def hang_up(connection: Any) -> None:
    """Disconnect, and wait no longer than a few seconds for the confirmation."""
    work = asyncio.create_task(connection.disconnect())
    try:
        await asyncio.wait({work}, timeout=HANG_UP_S)
    finally:
        await _end(work)


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task of our own if it runs, and collect what it threw: nobody needs that now."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
