"""Any controller that speaks HCI, through Bumble's host: no BlueZ, no kernel.

Bumble's own interface is used, not bleak with a backend of ours: bleak would want fourteen methods
and its tree of services filled in, and its constructors changed in 1.0, 2.0 and 3.0, while a mesh
needs one service with two characteristics. Directly we also see why a link dropped.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager
from typing import Any

from dunes.ble.advert import advertisement, read_structures
from dunes.ble.attempts import keep_trying
from dunes.ble.errors import NoRadio, NotHeard, RadioDenied, RadioLost
from dunes.ble.hcilink import HciLink, hang_up
from dunes.ble.hearing import Hearing
from dunes.ble.radio import Advertisement, Service
from dunes.ble.undisturbed import undisturbed
from dunes.errors import ConfigError, DunesError

LINKS_MAX = 4
"""As with BlueZ. On the virtual radio, where 200 nodes took 16 s, more did not help."""
LISTEN_S = 6.0
"""How long one attempt waits for the node to advertise before others get their turn."""
WITHDRAW_S = (0.5, 2.0)
"""For a controller to confirm that it does not connect any more: told twice, as the first may
overtake what it is to cancel."""
COMMAND_S = 5.0
"""For a controller to confirm a command; most take a few milliseconds."""
ADDRESSES_MAX = 2048
"""Devices whose last advertisement Bumble keeps for its scan response."""
RSSI_UNKNOWN = 127


class HciRadio:
    """A controller behind a transport of Bumble.

    Args:
        name: as people know it.
        device: Bumble's, powered on.
        transport: what leads to it.
        simulated: whether that is the simulated site's.
    """

    links_max = LINKS_MAX

    def __init__(self, name: str, device: Any, transport: Any, *, simulated: bool) -> None:
        self.name = name
        self.simulated = simulated
        self._device = device
        self._transport = transport
        self._hearing = Hearing(self._start_scan, self._stop_scan)
        self._connecting = asyncio.Lock()
        self._links: set[HciLink] = set()
        self._end: NoRadio | None = None
        self._ended = asyncio.Event()
        device.on("advertisement", self._on_advertisement)
        transport.source.terminated.add_done_callback(self._on_terminated)

    def scan(self) -> AbstractAsyncContextManager[AsyncIterator[Advertisement]]:
        """Listen while the context lasts."""
        return self._hearing.listen()

    async def connect(self, address: str, service: Service, *, timeout_s: float) -> HciLink:
        """Connect, discover, subscribe; tries again inside as long as there is time."""

        async def attempt(left_s: float) -> HciLink:
            async with self._connecting:
                connection = await self._initiate(address, min(LISTEN_S, left_s))
            link = HciLink(connection, address)
            self._links = {known for known in self._links if not known.gone} | {link}
            await link.set_up(service)
            return link

        return await keep_trying(attempt, address, timeout_s)

    async def forget(self, address: str) -> None:
        """Nothing to do: nothing is kept between two connections."""
        del address

    async def close(self) -> None:
        """Hang up, stop scanning, let go of the controller."""
        if self._end is None:
            await asyncio.gather(*(link.close() for link in self._links))
            with contextlib.suppress(DunesError):  # it may be gone by now
                await self._stop_scan()
        self._finish(NoRadio(f"the radio {self.name} was closed"))
        await self._transport.close()
        await asyncio.sleep(0)  # a stream closes in the next round of the loop

    async def _initiate(self, address: str, limit_s: float) -> Any:
        """Wait for the node's next connectable advertisement and answer it."""
        from bumble.hci import HCI_Error, HCI_ErrorCode

        self._check()
        try:
            return await self._connect_once(address, limit_s)
        except HCI_Error as e:
            if e.error_code != HCI_ErrorCode.COMMAND_DISALLOWED_ERROR or (
                not self._hearing.scanning
            ):
                raise RadioLost(f"the controller refuses to connect: {e}"[:200]) from e
        async with self._hearing.paused():  # some controllers do one or the other
            try:
                return await self._connect_once(address, limit_s)
            except HCI_Error as e:
                raise RadioLost(f"the controller refuses to connect: {e}"[:200]) from e

    async def _connect_once(self, address: str, limit_s: float) -> Any:
        from bumble.core import BaseBumbleError
        from bumble.hci import HCI_Error

        work = asyncio.create_task(self._device.connect(address, timeout=None))
        ended = asyncio.create_task(self._ended.wait())
        connection: Any = None
        try:
            await asyncio.wait({work, ended}, timeout=limit_s, return_when="FIRST_COMPLETED")
            self._check()
            if not work.done():
                raise NotHeard("was not heard advertising")
            if work.cancelled():
                raise RadioLost("the controller gave up")
            connection = work.result()
        except HCI_Error:
            raise
        except (BaseBumbleError, ValueError, AssertionError) as e:
            raise RadioLost(f"cannot connect: {type(e).__name__}: {e}"[:200]) from e
        finally:
            ended.cancel()
            if connection is None:
                await undisturbed(self._withdraw(work))
        return connection

    async def _withdraw(self, work: "asyncio.Task[Any]") -> None:
        """Tell the controller not to connect any more; hang up if it just did."""
        from bumble.core import BaseBumbleError
        from bumble.hci import HCI_LE_Create_Connection_Cancel_Command

        for limit_s in WITHDRAW_S:
            if work.done() or self._end is not None:
                break
            with contextlib.suppress(BaseBumbleError, AssertionError):
                # refused: not begun, or just connected
                await self._command(
                    self._device.send_sync_command(HCI_LE_Create_Connection_Cancel_Command())
                )
            await asyncio.wait({work}, timeout=limit_s)
        work.cancel()
        await asyncio.wait({work})
        if not work.cancelled() and work.exception() is None:
            await hang_up(work.result())

    async def _start_scan(self) -> None:
        from bumble.core import BaseBumbleError

        self._check()
        try:
            await self._command(self._device.start_scanning(active=True, filter_duplicates=False))
        except (BaseBumbleError, AssertionError) as e:
            raise NoRadio(f"{self.name} cannot scan: {type(e).__name__}: {e}"[:200]) from e
        self._check()

    async def _stop_scan(self) -> None:
        from bumble.core import BaseBumbleError

        if self._end is None and self._device.is_scanning:
            try:
                await self._command(self._device.stop_scanning())
            except (BaseBumbleError, AssertionError) as e:
                raise NoRadio(f"{self.name} cannot stop scanning: {e}"[:200]) from e

    async def _command(self, work: Awaitable[Any]) -> None:
        """Wait for a command to be confirmed; a controller that does not is of no use any more."""
        try:
            async with asyncio.timeout(COMMAND_S):
                await work
        except TimeoutError:
            self._finish(
                NoRadio(
                    f"the controller of {self.name} does not answer any more",
                    hint="dunes sim status"
                    if self.simulated
                    else "unplug it and plug it in again",
                )
            )

    def _on_advertisement(self, heard: Any) -> None:
        name, service_data = read_structures(heard.data.ad_structures)
        rssi_dbm = None if heard.rssi == RSSI_UNKNOWN else heard.rssi
        said = advertisement(str(heard.address), rssi_dbm, name, service_data)
        if said is not None:
            self._hearing.heard(said)
        if len(self._device.advertisement_accumulators) > ADDRESSES_MAX:
            self._device.advertisement_accumulators.clear()

    def _on_terminated(self, ended: "asyncio.Future[None]") -> None:
        if not ended.cancelled():
            ended.exception()  # collected: it says no more than that it is gone
        self._finish(
            NoRadio(
                f"the controller of {self.name} is gone: unplugged, or its program ended",
                hint="dunes sim status" if self.simulated else "dmesg | tail",
            )
        )

    def _finish(self, why: NoRadio) -> None:
        self._end = self._end or why
        self._ended.set()
        self._hearing.end(why)
        for link in self._links:
            link.lose(RadioLost(why.message, hint=why.hint))

    def _check(self) -> None:
        if self._end is not None:
            raise self._end.with_traceback(None)


async def open_hci(
    moniker: str, *, name: str | None = None, simulated: bool = False, timeout_s: float = 5.0
) -> HciRadio:
    """Take a controller into use.

    Args:
        moniker: a transport of Bumble, e.g. `serial:/dev/ttyACM0,1000000`.
        name: what to call it; default: `hci:` and the moniker.
        simulated: whether it is the simulated site's.
        timeout_s: how long opening may take, and then the answer to a reset.

    Raises:
        ConfigError: Bumble is not installed.
        NoRadio: nothing is there, or it does not answer as a controller does.
        RadioDenied: this user may not open it.
    """
    called = name or f"hci:{moniker}"
    try:
        from bumble.device import Device
        from bumble.hci import Address
        from bumble.transport import open_transport
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"radio {called} needs Bumble, which is not installed ({e.name})",
            hint="pip install 'dunes-mcp[hci]'",
            code="no-bumble",
        ) from e
    logging.getLogger("bumble").addHandler(logging.NullHandler())  # its warnings are our errors
    try:
        async with asyncio.timeout(timeout_s):
            transport = await open_transport(moniker)
    except TimeoutError as e:
        raise NoRadio(f"{called} did not open in {timeout_s:.3g} s") from e
    except Exception as e:  # each transport throws its library's own
        raise _not_opened(called, moniker, e, simulated=simulated) from e
    device = Device.with_hci(
        "dunes", Address.generate_static_address(), transport.source, transport.sink
    )
    try:
        async with asyncio.timeout(timeout_s):
            await device.power_on()
    except Exception as e:
        await transport.close()
        await asyncio.sleep(0)
        said = f"no answer to a reset in {timeout_s:.3g} s" if isinstance(e, TimeoutError) else e
        raise NoRadio(
            f"{called} does not work as a controller: {said}"[:300],
            hint="does another program use it?"
            if simulated
            else "is it an HCI controller, and the speed right? unplug it and plug it in again",
        ) from e
    return HciRadio(called, device, transport, simulated=simulated)


def _not_opened(name: str, moniker: str, error: Exception, *, simulated: bool) -> DunesError:
    """Say why a transport did not open, and what to do."""
    scheme, _, rest = moniker.partition(":")
    cause: BaseException = error
    while not isinstance(cause, OSError) and (below := cause.__cause__ or cause.__context__):
        cause = below
    said = f"{name} cannot be opened: {str(cause) or type(cause).__name__}"[:300]
    text = f"{error} {cause}".lower()
    if isinstance(cause, PermissionError) or "access" in text or "permission" in text:
        hints = {
            "serial": "usermod -aG dialout $USER, then log in again",
            "hci-socket": "it needs CAP_NET_ADMIN: setcap, or run as root",
        }
        return RadioDenied(said, hint=hints.get(scheme, "a udev rule for this device: radio.md"))
    if simulated:
        return NoRadio(said, hint="dunes sim status")
    hints = {
        "serial": "ls -l /dev/serial/by-id",
        "usb": "lsusb",
        "pyusb": "lsusb",
        "hci-socket": f"hciconfig hci{rest} down: an adapter is BlueZ's or ours, not both",
        "tcp-client": "does the program that plays the controller run?",
    }
    return NoRadio(said, hint=hints.get(scheme))
