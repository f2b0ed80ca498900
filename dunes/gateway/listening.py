"""`mesh-listen` as a library: own a mesh, keep what its nodes say, answer who asks."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dunes.clock import US_PER_S, rfc3339
from dunes.errors import TryLater
from dunes.gateway.forwarding import forward
from dunes.gateway.owner import Gateway, open_gateway
from dunes.gateway.readings import Item
from dunes.gateway.service import Service, socket_path
from dunes.gateway.store import MeshStore
from dunes.gateway.verbs import verbs_of
from dunes.mesh.manager import ManagerEvent, Received
from dunes.mesh.models.habitat import habitat
from dunes.mesh.models.habitat_server import HabitatMessage
from dunes.mesh.models.server import Raw
from dunes.model import Reading
from dunes.settings import Settings

CLOCK_S = 600.0
"""A node whose clock is still not set is told the time again after that."""


@dataclass(frozen=True, slots=True)
class MeshListenLine:
    """A reading that was kept.

    Attributes:
        time: when it was measured, RFC 3339.
        device: node, or element of one.
        kind: what was measured.
        value: of it.
        unit: of the value.
        priority: `alert`, `warning` or `routine`.
        seq: the node's own number of it.
        table: where it was kept.
        simulated: the node is one of the simulated site.
    """

    time: str
    device: str
    kind: str
    value: float | int | str | bool
    unit: str
    priority: str
    seq: int | None
    table: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """How listening ended.

    Attributes:
        mesh_id: the mesh.
        table: where readings were kept.
        readings: how many.
        repeated: reports that came again, and were not kept twice.
        unreadable: messages that could not be read.
        signal: that ended it; 0: none.
        simulated: the nodes are those of the simulated site.
    """

    mesh_id: str
    table: str
    readings: int
    repeated: int
    unreadable: int
    signal: int
    simulated: bool


def line_of(reading: Reading, table: str) -> MeshListenLine:
    """Write a reading for people and programs."""
    return MeshListenLine(
        rfc3339(reading.ts_us),
        reading.device,
        reading.kind,
        reading.value,
        reading.unit,
        reading.priority.name.lower(),
        reading.seq,
        table,
        reading.simulated,
    )


async def listen(
    settings: Settings,
    *,
    mesh_id: str | None,
    ble: str | None,
    table: str | None,
    count: int | None,
    duration_s: float | None,
    timeout_s: float,
    tell: Callable[[Reading, str], bool],
    note: Callable[[str], None],
    warn: Callable[[str], None],
) -> Heard:
    """Own the mesh and keep what its nodes say.

    Args:
        settings: as loaded.
        mesh_id: the mesh; None: as configured.
        ble: the radio; None: as configured.
        table: where to keep it; None: the mesh's table.
        count: end after so many readings.
        duration_s: end after so long.
        timeout_s: for the first proxy.
        tell: told each reading, and its table, once it is on the disk; says whether to go on.
        note: told what an operator may want to know.
        warn: told what an operator has to know.

    Raises:
        NoProxy: none was heard in time.
        NoRadio, RadioLost: the adapter is gone.
        StorageError: nothing can be kept.
    """
    with MeshStore.open(settings, mesh_id or "", write=False) as known:
        name, goes_to = known.mesh_id, table or known.table
    async with open_gateway(
        settings,
        holder="dunes mesh-listen",
        mesh_id=name,
        ble=ble,
        table=goes_to,
        note=note,
        warn=warn,
    ) as gateway:
        listener = _Listener(gateway, goes_to, tell, count)
        gateway.runner.on_kept.append(listener.kept)
        gateway.runner.on_event.append(listener.heard)
        path = socket_path(settings.paths, name)
        async with gateway.proxies.kept(), Service(path, verbs_of(gateway)).serving():
            await gateway.reach(timeout_s=timeout_s)
            note(f"listening to {name} by {gateway.radio.name}; readings go to {goes_to}")
            number = await _until(gateway, listener.enough, duration_s, forward(gateway))
            await gateway.runner.flush()
        return Heard(
            name,
            goes_to,
            listener.readings,
            gateway.readings.repeated,
            gateway.readings.unreadable,
            number,
            gateway.radio.simulated,
        )


class _Listener:
    """Tells readings that are on the disk, and acknowledges alerts."""

    def __init__(
        self, gateway: Gateway, table: str, tell: Callable[[Reading, str], bool], count: int | None
    ) -> None:
        self.gateway, self.table, self.tell, self.count = gateway, table, tell, count
        self.readings = 0
        self.enough = asyncio.Event()
        self._clock_told_s: dict[int, float] = {}

    def heard(self, event: ManagerEvent) -> None:
        """Tell a node the time whose clock is not set; not more often than it needs."""
        if not isinstance(event, Received) or not isinstance(event.message, HabitatMessage):
            return
        src, now_s = event.access.src, asyncio.get_running_loop().time()
        unset = event.message.values.get("clock_set") == 0 and event.access.app_index is not None
        if not unset or self._clock_told_s.get(src, -CLOCK_S) > now_s - CLOCK_S:
            return
        self._clock_told_s[src] = now_s
        unix_s = self.gateway.readings.unix_us() // US_PER_S
        self._say(src, event.access.app_index or 0, habitat().make("ClockSet", unix_s=unix_s))

    def kept(self, items: Sequence[Any]) -> None:
        """Take what was kept."""
        for item in items:
            if isinstance(item, Item):
                self._one(item)

    def _one(self, item: Item) -> None:
        if item.reading is not None and not self.enough.is_set():
            self.readings += 1
            goes_on = self.tell(item.reading, self.table)
            if not goes_on or (self.count is not None and self.readings >= self.count):
                self.enough.set()
        if item.ack is not None:
            payload = habitat().make(
                "AlertAck", kind=item.ack.kind, sequence=item.ack.sequence, reserved=0
            )
            self._say(item.ack.dst, item.ack.app_index, payload)

    def _say(self, dst: int, app_index: int, payload: bytes) -> None:
        with suppress(TryLater):  # the node says it again, and is told again
            self.gateway.runner.send(dst, Raw(payload), app_index=app_index)


async def _until(
    gateway: Gateway,
    enough: asyncio.Event,
    duration_s: float | None,
    beside: Coroutine[Any, Any, None],
) -> int:
    """Wait for enough, for a signal, or the end of the time; gives the signal.

    What is done beside it ends with it; should that fail, all does.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop, number)
    waits: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(each)
        for each in (enough.wait(), gateway.runner.failed(), gateway.proxies.failed(), beside)
    ]
    try:
        async with asyncio.timeout(duration_s):
            await asyncio.wait([*waits, stopped], return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        return 0
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
        for each in waits:
            each.cancel()
        results = await asyncio.gather(*waits, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return stopped.result() if stopped.done() else 0
