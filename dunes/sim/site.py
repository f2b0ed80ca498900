"""The simulated site, running: dish and router, sensors, sky, ground station, control.

All in one process on loopback, so that one lock, one file and one kill are the whole
of it. What is virtual is the far end; the programs that meet it are the real ones.
"""

import asyncio
import contextlib
import math
import os
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import get_args

from dunes.clock import SYSTEM_CLOCK, US_PER_S, Clock, rfc3339
from dunes.errors import NotFound, UsageError
from dunes.paths import write_atomic
from dunes.sim.agents import serve_agents
from dunes.sim.control import (
    ApproveRequest,
    ApproveState,
    CutRequest,
    CutState,
    LinkRequest,
    LinkState,
    MadeState,
    Nothing,
    SiteState,
    TableState,
)
from dunes.sim.controlserver import ControlApp, make_server, routes
from dunes.sim.definition import SiteDefinition
from dunes.sim.feed import Feed, Made, account, encode_line, load_account
from dunes.sim.ground import start_ground
from dunes.sim.issuer import Issuer, start_issuer
from dunes.sim.line import Line
from dunes.sim.siteclock import SPEED_MAX, SiteClock
from dunes.sim.sitemesh import SiteMesh
from dunes.sim.sky import CutMode, Sky
from dunes.sim.speedtest import serve_speedtest
from dunes.sim.starlink import VirtualStarlink
from dunes.sim.telemetry import make_sources
from dunes.site import Site
from dunes.starlink.descriptors import device_api

TICK_S = 0.05
"""Sensors write what they measured this often."""

PIECE = 100
"""Readings made in one go, before others of the process get their turn."""

ACCOUNT_S = 1.0
"""What was made is saved this often."""

CUT_MAX_S = 30 * 86_400.0
INTERFACES = ("starlink",)
"""What can be cut."""


@dataclass(slots=True)
class Cut:
    """An outage that goes on."""

    request: CutRequest
    cause: str
    mode: CutMode
    begin_us: int
    end_us: int


class SimulatedSite:
    """A site that runs until it is stopped.

    Args:
        definition: what it consists of.
        folder: where it keeps its files; they outlive it.
        speed: site seconds in one of ours.
        clock: ours.
        on_event: told one line per refusal or problem of the ground station.
        nodes: in its mesh; 0: as the definition says.
    """

    def __init__(
        self,
        definition: SiteDefinition,
        folder: Path,
        *,
        speed: float = 1.0,
        clock: Clock = SYSTEM_CLOCK,
        on_event: Callable[[str], None] = lambda _text: None,
        nodes: int = 0,
    ) -> None:
        self.definition = definition
        self.folder = folder
        self._real = clock
        self._on_event = on_event
        self._started_us = clock.unix_us()
        self._token = secrets.token_urlsafe(24)
        self._stopping = asyncio.Event()
        self._feeds = {
            spec.table: Feed(folder / "telemetry" / f"{spec.table}.jsonl")
            for spec in definition.sources
        }
        self._made: dict[str, Made] = load_account(folder / "made.json", self._feeds)
        # a site that ran ahead goes on where it was: its sensors' clocks never go back
        begin_us = max([self._started_us, *(made.last_us + 1 for made in self._made.values())])
        self._clock = SiteClock.start(self._started_us, begin_us, speed)
        self._sources = make_sources(
            definition, begin_us, {table: made.devices for table, made in self._made.items()}
        )
        link = definition.link
        seed = definition.seed
        self._sky = Sky(
            _line(link.one_way_delay_s, link.rate_bps, link.jitter_s, link.loss, seed),
            _line(link.one_way_delay_s, link.rate_down_bps, link.jitter_s, link.loss, seed + 1),
        )
        self._starlink = VirtualStarlink(
            clock=Clock(clock.monotonic_s, lambda: self._clock.site_us(clock.unix_us())),
            seed=seed,
        )
        self._begin_us = begin_us
        self.mesh = SiteMesh(definition, folder, self._sources, self._clock, nodes, on_event)
        self._issuer: Issuer | None = None
        self._cut: Cut | None = None
        self._cut_end: asyncio.TimerHandle | None = None
        self._site: Site | None = None
        self._describe: Callable[[Site], None] | None = None

    # ------------------------------------------------------------------ life

    async def run(self, describe: Callable[[Site], None]) -> None:
        """Run all servers until somebody stops the site.

        Args:
            describe: called once all of them answer, and when the description changes.
        """
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            self.mesh.start(self._begin_us)  # the longest of all: beside the others
            endpoints = self._starlink.start()
            endpoints |= await stack.enter_async_context(
                serve_agents(self.definition, self.folder)
            )
            ground = await stack.enter_async_context(
                start_ground(self.folder / "ground", self._on_event)
            )
            port = await self._listen_as_before(ground.address)
            name = self.definition.destination
            speed_port = await stack.enter_async_context(serve_speedtest())
            known = await self._sky.listen("127.0.0.1", 0, ("127.0.0.1", speed_port))
            endpoints[f"speedtest.{name}:5201"] = f"127.0.0.1:{known}"
            self._issuer = await stack.enter_async_context(
                start_issuer(self.folder / "identity", self._on_event)
            )
            radio = await self.mesh.await_radio()
            control_url = await stack.enter_async_context(self._serve_control())
            self._site = Site(
                name=self.definition.name,
                endpoints=endpoints,
                destinations={name: ground.destination(port)},
                telemetry={table: str(feed.path) for table, feed in self._feeds.items()},
                control_url=control_url,
                control_token=self._token,
                ground_data=str(self.folder / "ground"),
                pid=os.getpid(),
                speed=self._clock.speed,
                radio=radio,
                identity=self._issuer.describe() if self._issuer else {},
                firmware=self.mesh.firmware,
            )
            self._describe = describe
            describe(self._site)
            async with asyncio.TaskGroup() as group:
                measuring = group.create_task(self._measure())
                saving = group.create_task(self._save())
                await self._stopping.wait()
                measuring.cancel()
                saving.cancel()

    async def _listen_as_before(self, target: tuple[str, int]) -> int:
        """Open the way to the ground at the port of the last run, if that is still free.

        So a sync that runs on finds a site again that was killed and came up again.
        """
        memory = self.folder / "ground.port"
        with contextlib.suppress(OSError, ValueError):
            return await self._sky.listen("127.0.0.1", int(memory.read_text()), target)
        port = await self._sky.listen("127.0.0.1", 0, target)
        write_atomic(memory, f"{port}\n".encode())
        return port

    def stop(self) -> Nothing:
        """End the site."""
        self._stopping.set()
        return Nothing()

    @contextlib.asynccontextmanager
    async def _serve_control(self) -> AsyncIterator[str]:
        server, listener, url = make_server(ControlApp(routes(self), self._token))
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.005)
            try:
                yield url
            finally:
                server.should_exit = True

    async def _close(self) -> None:
        if self._cut_end is not None:
            self._cut_end.cancel()
        await self.mesh.stop()
        await self._sky.close()
        await asyncio.to_thread(self._starlink.stop)
        self._write_account()
        for feed in self._feeds.values():
            feed.close()

    # ------------------------------------------------------------------ sensors

    async def _measure(self) -> None:
        while True:
            until_us = self._site_us()
            for table, source in self._sources.items():
                readings = source.readings(until_us)
                while piece := list(islice(readings, PIECE)):
                    self._feeds[table].append(b"".join(map(encode_line, piece)))
                    self._made[table].count(piece)
                    await asyncio.sleep(0)
            await asyncio.sleep(TICK_S)

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(ACCOUNT_S)
            content = account(self._feeds, self._made)
            await asyncio.to_thread(write_atomic, self.folder / "made.json", content)

    def _write_account(self) -> None:
        write_atomic(self.folder / "made.json", account(self._feeds, self._made))

    def _site_us(self) -> int:
        return self._clock.site_us(self._real.unix_us())

    # ------------------------------------------------------------------ control

    def state(self) -> SiteState:
        """Say how the site is."""
        now_us = self._site_us()
        up, down = self._sky.up, self._sky.down
        return SiteState(
            name=self.definition.name,
            title=self.definition.title,
            pid=os.getpid(),
            started=rfc3339(self._started_us),
            site_time=rfc3339(now_us),
            speed=self._clock.speed,
            cut=_cut_state(self._cut, now_us),
            link=LinkState(
                up.delay_s,
                up.jitter_s,
                up.loss,
                up.rate_bps or 0.0,
                down.rate_bps or 0.0,
                self._sky.connections,
                up.sent_bytes,
                down.sent_bytes,
            ),
            tables={
                table: TableState(
                    len(made.devices),
                    made.readings,
                    made.alerts,
                    rfc3339(made.last_us) if made.last_us else "",
                    str(self._feeds[table].path),
                )
                for table, made in self._made.items()
            },
            endpoints=dict(self._site.endpoints) if self._site else {},
            destination=self.definition.destination,
            mesh=self.mesh.summary(),
        )

    def made_state(self) -> MadeState:
        """Say exactly what lies in the files."""
        return MadeState(
            self._site_us(),
            tuple((a.real_us, a.site_us, a.speed) for a in self._clock.anchors),
            {table: dict(made.devices) for table, made in self._made.items()},
        )

    def cut(self, request: CutRequest) -> SiteState:
        """Cut the sky, for a time of the site; a second cut takes the place of the first.

        Raises:
            UsageError: a duration, interface, mode or cause that cannot be.
        """
        cause = request.cause or self.definition.cut_cause
        known = device_api({}).pool.FindEnumTypeByName("SpaceX.API.Device.DishOutage.Cause")
        causes = set(known.values_by_name) - {"UNKNOWN"}
        if not 0 < request.duration_s <= CUT_MAX_S:
            raise UsageError(f"an outage of {request.duration_s} s is not within 30 days")
        if request.interface not in INTERFACES:
            raise UsageError(
                f"no interface {request.interface[:40]!r} can be cut; "
                f"there is {', '.join(INTERFACES)}"
            )
        if request.mode not in get_args(CutMode):
            raise UsageError(f"no way {request.mode[:40]!r} to cut: silent or reset")
        if cause not in causes:
            raise UsageError(
                f"no dish reports {cause[:40]!r}; there is {', '.join(sorted(causes))}"
            )
        if request.check_only:
            return self.state()
        self.restore()
        mode: CutMode = "reset" if request.mode == "reset" else "silent"
        now_us = self._site_us()
        self._cut = Cut(
            request, cause, mode, now_us, now_us + round(request.duration_s * US_PER_S)
        )
        self._sky.cut(mode)
        self._starlink.cut(request.duration_s, cause)
        self._arm()
        return self.state()

    def restore(self) -> SiteState:
        """Open the sky."""
        if self._cut_end is not None:
            self._cut_end.cancel()
            self._cut_end = None
        if self._cut is not None:
            self._cut = None
            self._starlink.restore()
            self._sky.restore()
        return self.state()

    def _arm(self) -> None:
        """Let the outage end by itself, whoever asked for it and has gone."""
        if self._cut_end is not None:
            self._cut_end.cancel()
            self._cut_end = None
        if self._cut is not None:
            left_s = (self._cut.end_us - self._site_us()) / US_PER_S / self._clock.speed
            loop = asyncio.get_running_loop()
            self._cut_end = loop.call_later(max(0.0, left_s), self.restore)

    def set_speed(self, speed: float) -> SiteState:
        """Change the speed of site time.

        Raises:
            UsageError: not above 0, or more than sensors can be simulated at.
        """
        if not (0 < speed <= SPEED_MAX and math.isfinite(speed)):
            raise UsageError(f"a speed of {speed} is not within 0 and {SPEED_MAX:.0f}")
        self._clock.set_speed(speed, self._real.unix_us())
        self.mesh.clock_changed()
        self._arm()
        if self._site is not None and self._describe is not None:
            self._site = replace(self._site, speed=speed)
            self._describe(self._site)
        return self.state()

    def approve(self, request: ApproveRequest) -> ApproveState:
        """Approve or refuse a login at the site's identity provider, as a person would.

        Raises:
            NotFound: no such login waits, or the site has no identity provider.
            UsageError: several wait, and none was named.
        """
        if self._issuer is None:
            raise NotFound("this site has no identity provider: pip install dunes-mcp[sim]")
        code, client = self._issuer.decide(request.code, request.user, approve=request.approve)
        return ApproveState(code, client, request.user, request.approve)

    def trigger(self, kind: str) -> SiteState:
        """Let something happen to the worlds that sensors look at.

        Raises:
            UsageError: it cannot happen on this site.
        """
        at_s = self._site_us() / US_PER_S
        happened = [source.world.trigger(kind, at_s) for source in self._sources.values()]
        if not any(happened):
            raise UsageError(f"no {kind[:40]!r} can happen on the site {self.definition.name}")
        self.mesh.happened(kind, at_s)
        return self.state()

    def set_link(self, request: LinkRequest) -> SiteState:
        """Change the way to the ground.

        Raises:
            UsageError: a negative figure, or a loss of all packets.
        """
        given = [
            request.one_way_delay_s,
            request.jitter_s,
            request.rate_bps,
            request.rate_down_bps,
        ]
        if any(value is not None and not (0 <= value < math.inf) for value in given):
            raise UsageError("delay, jitter and rates are numbers from 0 up")
        if request.loss is not None and not 0 <= request.loss < 1:
            raise UsageError("loss is a share of packets, from 0 to below 1")
        for line, rate_bps in (
            (self._sky.up, request.rate_bps),
            (self._sky.down, request.rate_down_bps),
        ):
            if request.one_way_delay_s is not None:
                line.delay_s = request.one_way_delay_s
            if request.jitter_s is not None:
                line.jitter_s = request.jitter_s
            if request.loss is not None:
                line.loss = request.loss
            if rate_bps is not None:
                line.rate_bps = rate_bps or None
        return self.state()


def _line(delay_s: float, rate_bps: float, jitter_s: float, loss: float, seed: int) -> Line:
    rng = Random(seed)  # noqa: S311 - jitter, no secret
    return Line(delay_s, rate_bps or None, jitter_s, loss, rng)


def _cut_state(cut: Cut | None, now_us: int) -> CutState | None:
    if cut is None:
        return None
    left_s = max(0.0, (cut.end_us - now_us) / US_PER_S)
    return CutState(
        cut.request.interface, cut.cause, cut.mode, rfc3339(cut.begin_us), round(left_s, 3)
    )
