"""One GATT link through bleak on BlueZ: set up, write, be notified, hang up."""

import asyncio
import contextlib
from typing import Any

from dunes.ble.bluezbus import RESTART, bus_error
from dunes.ble.errors import NoRadio, NotHeard, RadioLost, ServiceMissing
from dunes.ble.gatt import ATTRIBUTE_BYTES_MAX, IN_OUT, WAITING_MAX, service_name
from dunes.ble.mailbox import Mailbox
from dunes.ble.radio import Service, uuid_text
from dunes.ble.undisturbed import undisturbed
from dunes.errors import DunesError

CONNECT_S = 10.0
"""For one attempt: BlueZ connects and discovers in one call, so this is for both."""
SUBSCRIBE_S = 6.0
GIVE_UP_S = 3.0
"""For bleak to tidy up after a connect that failed; it has no limit of its own there."""
SEND_S = 10.0
HANG_UP_S = 12.0
"""BlueZ takes 2.0 to 2.4 s; bleak itself waits 10 s."""


class BluezLink:
    """A link to a node, over a client of bleak.

    Args:
        device: bleak's, from a scan.
        adapter: e.g. `hci0`.
    """

    def __init__(self, device: Any, adapter: str) -> None:
        from bleak import BleakClient

        self.address: str = device.address
        self.room_bytes = 0
        self._entrance: Any = None
        self._inbox: Mailbox[bytes] = Mailbox(WAITING_MAX)
        self._writing = asyncio.Lock()
        self._hanging_up: asyncio.Task[None] | None = None
        self._client = BleakClient(
            device,
            disconnected_callback=self._on_disconnected,
            timeout=CONNECT_S,
            bluez={"adapter": adapter},
        )

    async def connect(self) -> None:
        """Connect and discover; one at a time, please.

        Raises:
            NotHeard: BlueZ has forgotten the device: scan again.
            RadioLost: it hung up, or did not answer.
            NoRadio: the adapter is gone.
        """
        from bleak.exc import BleakDeviceNotFoundError, BleakError

        work = asyncio.create_task(self._client.connect())
        connected = False
        try:
            await asyncio.wait({work}, timeout=CONNECT_S + GIVE_UP_S)
            if not work.done():
                raise NoRadio("BlueZ does not come back from a connect", hint=RESTART)
            work.result()
            connected = True
        except BleakDeviceNotFoundError as e:
            raise NotHeard("is not known to BlueZ any more") from e
        except TimeoutError as e:
            raise RadioLost(f"did not answer within {CONNECT_S:.0f} s") from e
        except (BleakError, OSError, EOFError) as e:
            raise self._meaning(e) from e
        finally:
            if not connected:
                await undisturbed(self._give_up(work))

    async def _give_up(self, work: "asyncio.Task[None]") -> None:
        """Cancel a connect that still runs, let bleak tidy up, hang up if it just succeeded."""
        work.cancel()
        await asyncio.wait({work}, timeout=GIVE_UP_S)
        self._release()
        await self._released()

    async def subscribe(self, service: Service) -> None:
        """Find the service and subscribe; hang up if that fails.

        Raises:
            RadioLost: it hung up, or did not answer.
            ServiceMissing: it does not have the service.
        """
        from bleak.exc import BleakError

        try:
            async with asyncio.timeout(SUBSCRIBE_S):
                await self._subscribe(service)
        except BaseException as e:
            await self.close()
            if isinstance(e, TimeoutError):
                raise RadioLost(f"did not let us subscribe within {SUBSCRIBE_S:.0f} s") from e
            if isinstance(e, BleakError | OSError | EOFError):
                raise self._meaning(e) from e
            raise

    async def _subscribe(self, service: Service) -> None:
        name = service_name(service)
        entrance, exit_ = (uuid_text(number) for number in IN_OUT[service])
        wanted = uuid_text(service.value)
        found = [each for each in self._client.services if each.uuid == wanted]
        if not found:
            raise ServiceMissing(f"it has no {name}")
        by_uuid = {each.uuid: each for each in found[0].characteristics}
        if entrance not in by_uuid or exit_ not in by_uuid:
            raise ServiceMissing(f"its {name} lacks a characteristic")
        if not {"notify", "indicate"}.intersection(by_uuid[exit_].properties):
            raise ServiceMissing(f"its {name} cannot be subscribed to")
        await self._client.start_notify(by_uuid[exit_], self._on_value)
        self._entrance = by_uuid[entrance]
        self.room_bytes = min(self._entrance.max_write_without_response_size, ATTRIBUTE_BYTES_MAX)

    async def send(self, value: bytes) -> None:
        """Write one value without response; one after the other."""
        from bleak.exc import BleakError

        async with self._writing:
            self._inbox.check()
            try:
                async with asyncio.timeout(SEND_S):
                    await self._client.write_gatt_char(self._entrance, value, response=False)
            except TimeoutError as e:
                raise RadioLost(f"node {self.address}: nothing went out in {SEND_S:.0f} s") from e
            except (BleakError, OSError, EOFError) as e:
                self._inbox.check()
                raise RadioLost(f"node {self.address}: cannot write: {e}"[:200]) from e

    async def receive(self) -> bytes:
        """Give the next notified value."""
        return await self._inbox.get()

    async def close(self) -> None:
        """Hang up; quietly if that has happened."""
        self._inbox.close(RadioLost(f"the link to node {self.address} was closed"))
        self._release()
        await undisturbed(self._released())

    def lose(self, why: RadioLost) -> None:
        """Take note that the link is gone."""
        self._inbox.close(why)

    @property
    def up(self) -> bool:
        """Whether it may carry something."""
        return not self._inbox.closed

    @property
    def gone(self) -> bool:
        """Whether nothing is left of it, bleak's connection to the bus included."""
        return self._hanging_up is not None and self._hanging_up.done()

    def _release(self) -> None:
        """Hang up, once; bleak keeps its connection to the bus until it is told to."""
        if self._hanging_up is None:
            self._hanging_up = asyncio.create_task(self._hang_up())

    async def _released(self) -> None:
        if self._hanging_up is not None:
            await asyncio.wait({self._hanging_up})

    async def _hang_up(self) -> None:
        from bleak.exc import BleakError

        with contextlib.suppress(BleakError, OSError, EOFError, TimeoutError):
            async with asyncio.timeout(HANG_UP_S):
                await self._client.disconnect()

    def _on_value(self, _sender: Any, value: bytearray) -> None:
        if not self._inbox.put(bytes(value)) and not self._inbox.closed:
            self._inbox.close(
                RadioLost(f"node {self.address} notified more than {WAITING_MAX} values unread")
            )
            self._release()

    def _on_disconnected(self, _client: Any) -> None:
        self.lose(RadioLost(f"node {self.address} hung up, or is out of reach"))
        self._release()

    def _meaning(self, error: Exception) -> DunesError:
        """Say what an exception of bleak means for this link."""
        from bleak.exc import BleakDBusError

        if isinstance(error, BleakDBusError):
            meant = bus_error(error.dbus_error, error.dbus_error_details or "")
            if meant.code != "no-radio" or error.dbus_error == "org.bluez.Error.NotReady":
                return meant  # BlueZ or its adapter, not the node
        return RadioLost(f"node {self.address}: {str(error) or type(error).__name__}"[:200])
