"""The radio of BlueZ, through bleak.

What bluetoothd does to a mesh, and what is done about it:

- Filtering by service UUID loses a node that was just provisioned: bluetoothd keeps the list of
  UUIDs from its GATT table. So nothing is filtered there, only here, by Service Data.
- Service Data accumulates: 0x1827 stays beside 0x1828. `DuplicateData` makes bluetoothd start
  anew with each advertisement; what it remembers of nodes is removed before a scan, and by
  `forget`; where both are there, 0x1828 counts.
- A device that is not connected is forgotten some 30 s after the scan: connecting looks for it
  again.
- Connecting is one at a time; several links may be up.
- Who is killed leaves its links up, and a linked node does not advertise: hung up on first.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from dunes.ble.advert import advertisement
from dunes.ble.attempts import keep_trying
from dunes.ble.bluezbus import CALL_S, DOCTOR, RESTART, Adapter, BluezBus, bus_error, open_bus
from dunes.ble.bluezlink import BluezLink
from dunes.ble.errors import NoRadio, NotHeard, RadioLost, ServiceMissing
from dunes.ble.hearing import Hearing
from dunes.ble.radio import Advertisement, Service, uuid_text
from dunes.errors import DunesError

LINKS_MAX = 4
"""Measured best: 12 nodes took 30 s one by one and 11 s with four links."""
RSSI_UNKNOWN = -127
UUIDS = {uuid_text(each.value): each.value for each in (Service.PROVISIONING, Service.PROXY)}
KNOWN_MAX = 4096


class BluezRadio:
    """An adapter of BlueZ.

    Args:
        adapter: e.g. `hci0`.
        bus: ours, beside bleak's.
    """

    links_max = LINKS_MAX
    simulated = False

    def __init__(self, adapter: str, bus: BluezBus) -> None:
        self.name = f"bluez:{adapter}"
        self._adapter = adapter
        self._bus = bus
        self._hearing = Hearing(self._start_scan, self._stop_scan)
        self._scanner: Any = None
        self._known: dict[str, Any] = {}
        self._seeking = 0
        self._connecting = asyncio.Lock()
        self._links: set[BluezLink] = set()
        self._end: NoRadio | None = None

    def scan(self) -> AbstractAsyncContextManager[AsyncIterator[Advertisement]]:
        """Listen while the context lasts."""
        return self._hearing.listen()

    async def connect(self, address: str, service: Service, *, timeout_s: float) -> BluezLink:
        """Connect, discover, subscribe; tries again inside as long as there is time."""

        async def attempt(left_s: float) -> BluezLink:
            self._check()
            device = self._known.get(address) or await self._find(address, left_s)
            link = BluezLink(device, self._adapter)
            try:
                async with self._connecting:
                    await link.connect()
                self._links = {known for known in self._links if not known.gone} | {link}
                await link.subscribe(service)
            except ServiceMissing:
                await self.forget(address)  # its table may be that of before
                raise
            except DunesError:
                self._known.pop(address, None)
                self._check()
                raise
            return link

        return await keep_trying(attempt, address, timeout_s)

    async def forget(self, address: str) -> None:
        """Let BlueZ drop what it remembers of a node, its Service Data and its services."""
        self._known.pop(address, None)
        await self._bus.remove_device(self._adapter, self._path(address))

    async def close(self) -> None:
        """Hang up, stop scanning, leave the bus."""
        await asyncio.gather(*(link.close() for link in self._links))
        if self._end is None:
            await self._stop_scan()
        self._finish(NoRadio(f"the radio {self.name} was closed"))
        await self._bus.close()

    async def watch(self) -> None:
        """Notice from now on when the adapter goes away."""
        await self._bus.watch(self._adapter, self._finish)

    async def _find(self, address: str, limit_s: float) -> Any:
        """Listen until the node is heard; gives bleak's device."""
        if not any(link.address == address and link.up for link in self._links):
            await self._bus.hang_up(self._path(address))
        self._seeking += 1
        try:
            async with asyncio.timeout(limit_s), self.scan() as heard:
                async for said in heard:
                    if said.address == address and address in self._known:
                        return self._known[address]
        except TimeoutError as e:
            raise NotHeard("was not heard advertising") from e
        finally:
            self._seeking -= 1
        raise NotHeard("was not heard advertising")

    async def _start_scan(self) -> None:
        from bleak import BleakScanner

        self._check()
        if not self._seeking and not self._connecting.locked():  # or others lose what they found
            for path in await self._bus.stale_nodes(self._adapter):
                await self._bus.remove_device(self._adapter, path)
            self._known.clear()
        scanner = BleakScanner(
            self._on_advertisement,
            bluez={"adapter": self._adapter, "filters": {"DuplicateData": True}},
        )
        self._scanner = scanner
        await self._guarded(scanner.start())

    async def _stop_scan(self) -> None:
        scanner, self._scanner = self._scanner, None
        if scanner is not None and self._end is None:
            await self._guarded(scanner.stop())

    async def _guarded(self, work: Any) -> None:
        """Do something with bleak's scanner; its exceptions become ours."""
        from bleak.exc import BleakDBusError, BleakError

        try:
            async with asyncio.timeout(CALL_S):
                await work
        except TimeoutError as e:
            raise NoRadio(f"BlueZ gave no answer in {CALL_S:.0f} s", hint=RESTART) from e
        except BleakDBusError as e:
            self._check()
            raise bus_error(e.dbus_error, e.dbus_error_details or "") from e
        except (BleakError, OSError, EOFError) as e:
            self._check()
            raise NoRadio(f"{self.name} cannot scan: {e}"[:200], hint=DOCTOR) from e

    def _on_advertisement(self, device: Any, said: Any) -> None:
        service_data = {
            UUIDS[uuid]: bytes(data) for uuid, data in said.service_data.items() if uuid in UUIDS
        }
        rssi_dbm = None if said.rssi == RSSI_UNKNOWN else said.rssi
        node = advertisement(device.address, rssi_dbm, said.local_name, service_data)
        if node is not None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[device.address] = device
            self._hearing.heard(node)

    def _finish(self, why: NoRadio) -> None:
        self._end = self._end or why
        self._hearing.end(why)
        for link in self._links:
            link.lose(RadioLost(why.message, hint=why.hint))

    def _check(self) -> None:
        if self._end is not None:
            raise self._end.with_traceback(None)

    def _path(self, address: str) -> str:
        return f"/org/bluez/{self._adapter}/dev_{address.replace(':', '_')}"


async def open_bluez(adapter: str = "", *, timeout_s: float = 5.0) -> BluezRadio:
    """Take an adapter of BlueZ into use.

    Args:
        adapter: e.g. `hci0`; empty: the first one that works.
        timeout_s: how long the bus and BlueZ may take to answer.

    Raises:
        NoRadio: no bus, no BlueZ, no such adapter, or it is switched off.
        RadioDenied: this user may not.
    """
    for library in ("bleak", "dbus_fast"):  # its warnings are our errors
        logging.getLogger(library).addHandler(logging.NullHandler())
    try:
        async with asyncio.timeout(timeout_s):
            bus = await open_bus()
            try:
                radio = BluezRadio(choose_adapter(await bus.adapters(), adapter), bus)
                await radio.watch()
            except BaseException:
                await bus.close()
                raise
    except TimeoutError as e:
        raise NoRadio(f"BlueZ gave no answer in {timeout_s:.3g} s", hint=RESTART) from e
    return radio


def choose_adapter(adapters: list[Adapter], wanted: str) -> str:
    """Say which adapter to use.

    Raises:
        NoRadio: there is none such, or it cannot be used.
    """
    names = ", ".join(each.name for each in adapters)
    if wanted:
        found = [each for each in adapters if each.name == wanted]
        if not found:
            raise NoRadio(
                f"there is no adapter {wanted}" + (f"; there is {names}" if names else ""),
                hint=f"--ble bluez:{adapters[0].name}" if names else "lsusb; dmesg",
            )
        found[0].check()
        return wanted
    if not adapters:
        raise NoRadio("no Bluetooth adapter is attached", hint="lsusb; dmesg")
    fit = [each for each in adapters if each.powered and each.central]
    if not fit:
        adapters[0].check()
    return (fit or adapters)[0].name
