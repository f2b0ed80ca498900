"""The site's Bluetooth Mesh: its air, and what goes between the air and the site."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from dunes.paths import write_atomic
from dunes.sim.air.talk import Acted, Begin, MeshState
from dunes.sim.airprocess import Air
from dunes.sim.control import FaultRequest, MeshSummary
from dunes.sim.definition import SiteDefinition
from dunes.sim.siteclock import SiteClock
from dunes.sim.sitefirmware import prepare_firmware
from dunes.sim.telemetry import Source


class SiteMesh:
    """The mesh of one site.

    Args:
        definition: of the site.
        folder: the site's; nodes keep their state in `air` below it.
        sources: whose worlds actuators move.
        clock: of the site.
        nodes: how many; 0: as the definition says.
        on_event: told one line per event.
    """

    def __init__(
        self,
        definition: SiteDefinition,
        folder: Path,
        sources: Mapping[str, Source],
        clock: SiteClock,
        nodes: int,
        on_event: Callable[[str], None],
    ) -> None:
        self.firmware = ""
        self._definition = definition
        self._folder = folder
        self._sources = sources
        self._clock = clock
        self._nodes = nodes
        self._on_event = on_event
        self._air = Air(self._acted, on_event)
        self._starting: asyncio.Task[str] | None = None

    def start(self, begin_us: int) -> None:
        """Begin to come up, beside the rest of the site; `await_radio` waits for it.

        Args:
            begin_us: site time at which the worlds began.
        """
        self._starting = asyncio.create_task(self._start(begin_us))

    async def await_radio(self) -> str:
        """Give the radio once it is up; empty where there is no mesh."""
        return "" if self._starting is None else await self._starting

    async def _start(self, begin_us: int) -> str:
        """Come up, with the radio at the port of the last run, if that is free."""
        memory = self._folder / "radio.port"
        port = 0
        with contextlib.suppress(OSError, ValueError):
            port = int(memory.read_text())
        self.firmware = await asyncio.to_thread(prepare_firmware, self._folder / "firmware")
        begin = Begin(
            self._definition,
            str(self._folder / "air"),
            begin_us,
            tuple((a.real_us, a.site_us, a.speed) for a in self._clock.anchors),
            self._nodes,
            port,
            self.firmware,
        )
        radio = await self._air.start(begin)
        if radio:
            write_atomic(memory, f"{radio.rpartition(':')[2]}\n".encode())
        return radio

    async def stop(self) -> None:
        """End."""
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._starting
        await self._air.stop()

    def summary(self) -> MeshSummary:
        """Say in a line how it is."""
        return MeshSummary(self._air.radio, self._air.nodes, self._air.note)

    async def state(self) -> MeshState:
        """Say how all nodes are, and what they have sent."""
        return await self._air.state()

    async def fault(self, request: FaultRequest) -> MeshState:
        """Let something go wrong with a node.

        Raises:
            UsageError: no such node, or no such fault.
        """
        await self._air.ask("fault", node=request.node, kind=request.kind)
        return await self._air.state()

    def clock_changed(self) -> None:
        """Take that the site's clock runs at another speed."""
        self._air.tell("clock", anchors=[list(each) for each in self._clock.anchors])

    def happened(self, kind: str, at_s: float) -> None:
        """Let something that happened to the site's worlds happen to those of the mesh."""
        self._air.tell("event", kind=kind, at_s=at_s)

    def _acted(self, acted: Acted) -> None:
        """Let an actuator move the world that the site's files tell of, too."""
        self._on_event(f"{acted.name}: {acted.what} stands at {acted.value}")
        source = self._sources.get(acted.table)
        if source is not None and acted.place <= len(source.seqs):
            source.world.act(acted.what, acted.place, acted.value)
