"""`mcp sync`: one buffer table to one ground station, with everything around it."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from dunes.buffer.rename import take_along
from dunes.buffer.store import Buffer, Stream, open_buffer
from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.crypto.identity import Identity, load_identity
from dunes.crypto.signing import VerifyKey
from dunes.errors import ConfigError, Denied, DunesError, NotFound, PeerError, TryLater
from dunes.model import Priority, buffer_name
from dunes.mu.log import log_directory
from dunes.secrets import load_secret
from dunes.settings import Settings
from dunes.site import Site, running_site
from dunes.uplink.carriers.https import HttpsCarrier
from dunes.uplink.countersign import bring_log
from dunes.uplink.errors import BadRecord, OtherKey
from dunes.uplink.forget import forget_destination
from dunes.uplink.fork import settle_history
from dunes.uplink.greeting import Greeting
from dunes.uplink.hold import Hold, held
from dunes.uplink.inbox import Inbox
from dunes.uplink.left import left_of
from dunes.uplink.outbox import Outbox
from dunes.uplink.permission import Permission
from dunes.uplink.pump import Counts, Pump
from dunes.uplink.report import LaneSync, SyncReport
from dunes.uplink.synclock import sync_lock
from dunes.uplink.target import (
    API_KEY,
    SITE,
    Target,
    find_target,
    gateway_name,
    pinned_key,
)

if TYPE_CHECKING:
    from dunes.secrets import Secret

SAID_EVERY_S = 0.25
"""How often progress is told."""
LOG_EVERY_S = 60.0
"""With `--watch`: how often the log of receipts is looked at."""


@dataclass(slots=True)
class Sync:
    """A gateway's buffer table and a ground station, ready to be joined.

    Attributes:
        settings: as loaded.
        buffer: opened with the gateway's name.
        table: folded name.
        target: where to.
        key: the ground station's; None until it was asked for.
        identity: the gateway's.
        api_key: opens the door.
        timeout_s: silence after which the link counts as down.
        clock: for intervals and records.
    """

    settings: Settings
    buffer: Buffer
    table: str
    target: Target
    key: VerifyKey | None
    identity: Identity
    api_key: "Secret"
    timeout_s: float
    clock: Clock = SYSTEM_CLOCK
    report: SyncReport = field(init=False)
    permission: Permission = field(init=False)

    def __post_init__(self) -> None:
        """Begin the report."""
        self.permission = Permission.to_push(
            self.settings.paths, self.table, self.target.name, self.identity.signing
        )
        self.report = SyncReport(
            buffer_name(self.table),
            self.table,
            self.target.name,
            self.target.url,
            "" if self.key is None else self.key.kid,
            self.target.simulated,
        )

    def run(
        self,
        *,
        watch: bool = False,
        on_progress: Callable[[SyncReport, str], None] = lambda _report, _note: None,
    ) -> SyncReport:
        """Send what is there; with `watch` go on until SIGTERM or Ctrl-C.

        Raises:
            TryLater: the link is down or held, or another sync is at it; what is queued
                stays queued, and `report` says how much.
            PeerError: the ground station breaks the protocol; nothing was deleted.
            Denied: it does not want this gateway, or the policies here say no.
        """
        began_s = self.clock.monotonic_s()
        destination = self.target.name
        self.permission.check()
        try:
            with sync_lock(self.settings.paths, self.table, destination):
                asyncio.run(self._run(watch, began_s, on_progress))
        except (TryLater, asyncio.CancelledError) as e:
            self._measure(began_s, None)
            if isinstance(e, TryLater):
                self.report.state = "queued"
                raise
        except Denied as e:
            if self.target.simulated and e.code == "not-enrolled":
                e.hint = "mcp init, which enrols this gateway at the simulated site"
            raise
        finally:
            self.permission.close()
        return self.report

    def forget_receipts(self) -> None:
        """Forget what the destination acknowledged: its store is lost for good."""
        forget_destination(self.buffer, self.target.name)
        self.report.notes.append(
            f"what {self.target.name} had acknowledged is forgotten; of what was deleted here it "
            "is told that it will not come"
        )

    def left(self) -> dict[int, tuple[int, int]]:
        """Give (frames, readings) by lane that are not acknowledged yet."""
        return left_of(self.buffer, self.table, self.target.name)

    async def _run(
        self, watch: bool, began_s: float, on_progress: Callable[[SyncReport, str], None]
    ) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None and threading.current_thread() is threading.main_thread():
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
        self._refuse_hold(watch)
        greeting = Greeting(
            self.settings,
            self.buffer,
            self.table,
            self.target,
            self.identity,
            self.timeout_s,
            self.report.notes,
            self.clock,
        )
        key = self.key if self.key is not None else await greeting.pin()
        self.report.station = key.kid
        await greeting.let_read(key, watch=watch)
        greeting.forget_others(key)
        carrier = HttpsCarrier.open(
            self.target.url,
            self.api_key,
            ca_file=self.target.ca_file,
            tls_sha256=self.target.tls_sha256,
            proxy=self.target.proxy,
            connect_timeout_s=self.timeout_s,
            answer_timeout_s=max(self.timeout_s, 10.0),
        )
        said_s = began_s

        def progress(counts: Counts, trouble: str) -> None:
            nonlocal said_s
            now_s = self.clock.monotonic_s()
            if now_s - said_s >= SAID_EVERY_S:
                said_s = now_s
                self._measure(began_s, counts)
                self.report.state = "queued" if trouble else "syncing"
                on_progress(self.report, trouble)

        pump = self._pump(key, carrier, progress)
        keeper = asyncio.ensure_future(self._keep_log(key, carrier)) if watch else None
        warmer = asyncio.ensure_future(self._warm(carrier)) if watch else None
        try:
            try:
                await pump.run(watch=watch)
            except (OtherKey, BadRecord) as e:
                await greeting.introduce(carrier, e)
                pump = self._pump(key, carrier, progress)
                await pump.run(watch=watch)
            await self._bring_log(key, carrier)
        finally:
            for task in (keeper, warmer):
                if task is not None:
                    task.cancel()
            self._measure(began_s, pump.counts)
            await carrier.aclose()
        self.report.state = "done"

    async def _warm(self, carrier: HttpsCarrier) -> None:
        """With `watch`: open the alerts' connections. Trouble with the link the pump will tell."""
        with contextlib.suppress(DunesError):
            await carrier.warm(self.buffer.gateway, self.table)

    async def _keep_log(self, key: VerifyKey, carrier: HttpsCarrier) -> None:
        """With `watch`: have the log countersigned as it grows."""
        while True:
            if held(self.settings.paths, self.clock.unix_us()) is None:
                await self._bring_log(key, carrier)
            await asyncio.sleep(LOG_EVERY_S)

    async def _bring_log(self, key: VerifyKey, carrier: HttpsCarrier) -> None:
        """Have the receipts' log countersigned; what fails is said, and fails nothing else."""
        gateway = self.buffer.gateway
        directory = log_directory(self.settings.paths.state)
        try:
            size = await bring_log(directory, key, lambda body: carrier.countersign(gateway, body))
        except NotFound:
            return  # no receipt was ever made here
        except TryLater:
            note = "the log of receipts was not countersigned: the link is down; sync again"
        except DunesError as e:
            note = f"the log of receipts was not countersigned: {e.message}"
        else:
            if size is not None:
                self.report.log_entries = size
            return
        if note not in self.report.notes:
            self.report.notes.append(note)

    def _pump(
        self, key: VerifyKey, carrier: HttpsCarrier, on_progress: Callable[[Counts, str], None]
    ) -> Pump:
        real = {n for n, e in self.settings["uplink.destinations"].items() if SITE not in e}
        destinations = frozenset({*real, self.target.name})

        async def fork(stream: Stream, error: PeerError) -> str:
            moved = await settle_history(
                self.buffer,
                stream,
                error,
                identity=self.identity,
                carrier=carrier,
                destination=self.target.name,
                destinations=destinations,
            )
            return moved.note

        pump = Pump(
            buffer=self.buffer,
            table=self.table,
            outbox=Outbox(self.buffer, self.identity.signing),
            inbox=Inbox(self.buffer, self.target.name, key, destinations),
            carrier=carrier,
            rng=Random(),  # noqa: S311 - jitter, no secret
            timeout_s=self.timeout_s,
            held=self._held,
            fork=fork,
            on_progress=on_progress,
        )
        carrier.on_activity = pump.heard
        return pump

    def _held(self) -> Hold | None:
        """Give the hold that is in force, as long as sending is allowed at all."""
        self.permission.check()
        return held(self.settings.paths, self.clock.unix_us())

    def _refuse_hold(self, watch: bool) -> None:
        hold = held(self.settings.paths, self.clock.unix_us())
        if hold is not None and not watch:
            raise TryLater(
                f"the uplink is held: {hold.reason}",
                hint="it ends by itself; dunes status tells when",
                code="uplink-held",
            )

    def _measure(self, began_s: float, counts: Counts | None) -> None:
        """Bring the report up to date."""
        report = self.report
        report.duration_s = round(self.clock.monotonic_s() - began_s, 3)
        left = self.left()
        lanes = counts.lanes if counts is not None else {}
        before = {lane.lane: lane for lane in report.lanes}
        report.lanes = []
        for lane in Priority:
            name, own = lane.name.lower(), lanes.get(int(lane))
            old = before.get(name)
            report.lanes.append(
                LaneSync(
                    name,
                    own.frames if own is not None else old.frames if old else 0,
                    own.readings if own is not None else old.readings if old else 0,
                    *left[int(lane)],
                    own.damaged if own is not None else old.damaged_frames if old else 0,
                )
            )
        report.frames = sum(lane.frames for lane in report.lanes)
        report.readings = sum(lane.readings for lane in report.lanes)
        report.left_frames = sum(lane.left_frames for lane in report.lanes)
        report.left_readings = sum(lane.left_readings for lane in report.lanes)
        report.complete = report.left_frames == 0
        report.readings_per_s = round(report.readings / max(report.duration_s, 1e-3), 1)
        if counts is not None:
            report.requests, report.sent_bytes = counts.requests, counts.sent_bytes
            report.repeated_frames = max(0, counts.sent_frames - report.frames)
            report.freed_frames = counts.deleted_frames
            report.notes += [note for note in counts.notes if note not in report.notes]


def open_sync(
    settings: Settings, table: str, destination: str | None, *, timeout_s: float
) -> Sync:
    """Get everything ready that a sync needs; nothing is connected yet.

    Args:
        settings: as loaded.
        table: name of a buffer or table, in any spelling.
        destination: a name or address; None: the default one.
        timeout_s: silence after which the link counts as down.

    Raises:
        NotFound: no such table or destination, or this gateway has no identity yet.
        ConfigError: no destination, no API key, or readings wait under a name that this
            gateway no longer has.
    """
    site: Site | None = running_site(settings.paths)
    target = find_target(settings, site, destination)
    identity = load_identity(settings.paths)
    gateway = gateway_name(settings, identity.kid)
    try:
        api_key = load_secret(settings.paths, API_KEY)
    except NotFound as e:
        raise ConfigError(
            "this gateway has no API key for ground stations",
            hint="mcp init, or: dunes init-starlink --api-key-file FILE",
            code="no-api-key",
        ) from e
    buffer = open_buffer(settings, gateway)
    try:
        folded = buffer.need_table(table)
        key = pinned_key(settings.paths, target)
        own_kids = {own.kid for own in identity.own_senders}
        moved = take_along(buffer, folded, identity.signing, own_kids)
    except BaseException:
        buffer.close()
        raise
    sync = Sync(settings, buffer, folded, target, key, identity, api_key, timeout_s)
    if moved:
        sync.report.notes.append(
            f"{moved} readings that were taken in under another name go as {gateway}"
        )
    return sync
