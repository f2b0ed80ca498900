"""The process of the air: nodes and radio beside the site, so that neither slows the other.

Started by `dunes.sim.airprocess` on the leash; `talk` says what goes through its standard
input and output. It ends with its input.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from dunes.clock import SYSTEM_CLOCK
from dunes.errors import DunesError, Exit, UsageError
from dunes.sim.air.faults import read_fault
from dunes.sim.air.fleet import Fleet
from dunes.sim.air.talk import Acted, Ask, Begin, Said
from dunes.sim.siteclock import Anchor, SiteClock

LINE_BYTES_MAX = 16 << 20
NICE = 5
"""The nodes stand back behind the gateway that is tested against them."""


class AirProcess:
    """The air of one site, driven by lines."""

    def __init__(self, begin: Begin, say: Callable[[Said], None]) -> None:
        self.begin = begin
        self.clock = SiteClock([Anchor(*each) for each in begin.anchors])
        self.say = say
        self.port = 0
        self.fleet = Fleet.make(
            begin.definition,
            Path(begin.folder),
            start_us=begin.start_us,
            site_us=self.site_us,
            nodes=begin.nodes or None,
            acted=self._acted,
        )
        if begin.firmware:
            from dunes.sim.air.firmware import fit_firmware

            fit_firmware(self.fleet, Path(begin.firmware))
        self.table: dict[str, Callable[..., Any]] = {
            "state": self._state,
            "clock": self._clock,
            "event": self._event,
            "fault": self._fault,
        }

    def site_us(self) -> int:
        """Give site time."""
        return self.clock.site_us(SYSTEM_CLOCK.unix_us())

    async def run(self, lines: asyncio.StreamReader) -> None:
        """Live until the lines end."""
        self.port = await self._listen()
        self.fleet.set_speed(self.clock.speed)
        self.say(Said(0, "ready", {"radio": f"127.0.0.1:{self.port}"}))
        try:
            while line := await lines.readline():
                self.answer(msgspec.json.decode(line, type=Ask))
        finally:
            await self.fleet.stop()

    async def _listen(self) -> int:
        with contextlib.suppress(OSError):
            return await self.fleet.start(self.begin.port)
        return await self.fleet.start(0)

    def answer(self, ask: Ask) -> None:
        """Do what was asked, and say so."""
        try:
            result = self.table[ask.what](**ask.given)
        except DunesError as error:
            self.say(Said(ask.number, error=error.message))
        else:
            self.say(Said(ask.number, result=result))

    def _state(self) -> Any:
        return self.fleet.state(f"127.0.0.1:{self.port}")

    def _clock(self, anchors: list[list[float]]) -> None:
        self.clock = SiteClock([Anchor(int(a), int(b), c) for a, b, c in anchors])
        self.fleet.set_speed(self.clock.speed)

    def _event(self, kind: str, at_s: float) -> None:
        """Let something happen to the worlds, at the moment at which it happens to the site's."""
        happened = [source.world.trigger(kind, at_s) for source in self.fleet.sources.values()]
        if not any(happened):
            raise UsageError(f"no {kind[:40]!r} can happen here")

    def _fault(self, node: str, kind: str) -> None:
        """Order a fault; an empty kind ends all of the node."""
        if kind:
            self.fleet.order(node, read_fault(kind))
        else:
            self.fleet.clear(node)

    def _acted(self, acted: Acted) -> None:
        self.say(Said(0, "acted", acted))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)

    def say(said: Said) -> None:
        view = memoryview(msgspec.json.encode(said) + b"\n")
        while view:
            view = view[out.write(view) or 0 :]

    running = asyncio.current_task()
    if running is not None:
        loop.add_signal_handler(signal.SIGTERM, running.cancel)
    begin = msgspec.json.decode(await lines.readline(), type=Begin)
    try:
        await AirProcess(begin, say).run(lines)
    except DunesError as error:
        hint = f"; {error.hint}" if error.hint else ""
        say(Said(0, "failed", error=error.message + hint))


def main() -> int:
    """Be the air until the site ends."""
    logging.basicConfig(level=logging.WARNING, format="air: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the site's to take
    os.nice(NICE)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve())
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main())
