"""Rehearse an outage on a real gateway: hold its uplink, watch, release, judge.

Nobody knows here what real sensors made; the judgement starts at what the buffer
accepted and rests on the ground station's signed receipts.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from dunes.buffer.ack import last_receipt
from dunes.buffer.store import Buffer, open_buffer
from dunes.clock import SYSTEM_CLOCK, US_PER_S
from dunes.crypto.identity import load_identity
from dunes.settings import Settings
from dunes.sim.gatewayview import GatewayView
from dunes.sim.helpers import Helpers
from dunes.sim.outage import AlertFigures, OutageReport, Progress
from dunes.uplink.hold import clear_hold, set_hold
from dunes.uplink.receipt import parse_receipt
from dunes.uplink.target import gateway_name

LOOK_S = 0.5
TELL_S = 1.0
DRAIN_MIN_S = 60.0
DRAIN_PER_S = 3.0


class LanePlace(NamedTuple):
    """One lane of one stream, by its key in the gateway's database."""

    stream_id: int
    lane: int


class LaneAccount(NamedTuple):
    """What a lane has come to, in readings: ever numbered, given up, refused, there now."""

    last: int
    dropped: int
    refused: int
    there: int


@dataclass(slots=True)
class HoldTrial:
    """One rehearsal on a real gateway.

    Args:
        settings: of the gateway.
        table: the buffer table.
        destination: the ground station's name, as its receipts are kept.
        duration_s: of the outage.
        tell: told how far it is, about once a second.
    """

    settings: Settings
    table: str
    destination: str
    duration_s: float
    tell: Callable[[Progress], None]
    _buffer: Buffer = field(init=False)
    _gateway: GatewayView = field(init=False)
    _helpers: Helpers = field(init=False)
    _before: dict[LanePlace, LaneAccount] = field(default_factory=dict)
    _since_us: int = 0
    _until_us: int = 0
    _peak: int = 0
    _drain_s: float | None = None
    _told_s: float = 0.0

    def __post_init__(self) -> None:
        """Open the buffer; what another gateway's name wrote there is not ours to send."""
        gateway = gateway_name(self.settings, load_identity(self.settings.paths).kid)
        self._buffer = open_buffer(self.settings, gateway, create=False)
        self.table = self._buffer.need_table(self.table)
        self._gateway = GatewayView(self.settings, self.table)
        self._helpers = Helpers(self.settings, self.table, self.destination)

    def run(self) -> OutageReport:
        """Rehearse; Ctrl-C ends it early, releases the uplink and gives what is so far.

        Raises:
            Unavailable: `mcp sync` does not run.
        """
        interrupted = False
        try:
            try:
                self._helpers.start(self._gateway)
                self._hold()
                self._drain()
            except KeyboardInterrupt:
                interrupted = True
            finally:
                clear_hold(self.settings.paths)
            return self._judge(interrupted=interrupted)
        finally:
            self._helpers.stop()
            self._gateway.close()
            self._buffer.close()

    def _hold(self) -> None:
        self._before = self._account()
        self._since_us = SYSTEM_CLOCK.unix_us()
        self._until_us = self._since_us + round(self.duration_s * US_PER_S)
        set_hold(self.settings.paths, self._since_us, self._until_us, "dunes simulate-disconnect")
        while (now_us := SYSTEM_CLOCK.unix_us()) < self._until_us:
            self._look("cut", (now_us - self._since_us) / US_PER_S)
            self._helpers.check()
            time.sleep(min(LOOK_S, (self._until_us - now_us) / US_PER_S))

    def _drain(self) -> None:
        wanted = {place: account.last for place, account in self._account().items()}
        deadline_s = time.monotonic() + max(DRAIN_MIN_S, DRAIN_PER_S * self.duration_s)
        while time.monotonic() < deadline_s:
            acked = self._acked()
            if all(acked.get(place, 0) >= last for place, last in wanted.items()):
                self._drain_s = (SYSTEM_CLOCK.unix_us() - self._until_us) / US_PER_S
                return
            self._look("drain", self.duration_s)
            self._helpers.check()
            time.sleep(LOOK_S)

    def _look(self, phase: str, done_s: float) -> None:
        account = self._account()
        there = sum(lane.there for lane in account.values())
        self._peak = max(self._peak, there)
        if time.monotonic() - self._told_s >= TELL_S:
            self._told_s = time.monotonic()
            made, delivered = self._made(account), self._delivered(account)
            self.tell(Progress(phase, done_s, self.duration_s, made, there, delivered))

    def _account(self) -> dict[LanePlace, LaneAccount]:
        found = {}
        for stream in self._buffer.streams(self.table, self._buffer.gateway):
            with self._buffer.reading() as connection:
                for number, lane in self._buffer.lanes(connection, stream).items():
                    found[LanePlace(stream.id, number)] = LaneAccount(
                        lane.last_msg, lane.dropped_msgs, lane.refused_msgs, lane.msgs
                    )
        return found

    def _acked(self) -> dict[LanePlace, int]:
        """Give the last reading that the destination's newest receipt vouches for, by lane."""
        found = {}
        for stream in self._buffer.streams(self.table, self._buffer.gateway):
            with self._buffer.reading() as connection:
                newest = last_receipt(connection, stream.id, self.destination)
            if newest is not None:
                for number, lane in parse_receipt(newest[1]).lanes.items():
                    found[LanePlace(stream.id, number)] = lane.cum_msg
        return found

    def _made(self, now: dict[LanePlace, LaneAccount]) -> int:
        """Count what sources handed over since the beginning, refused readings included."""
        return sum(
            a.last + a.refused - (b.last + b.refused) for a, b in self._with_before(now).values()
        )

    def _delivered(self, now: dict[LanePlace, LaneAccount]) -> int:
        acked = self._acked()
        return sum(
            max(0, min(acked.get(place, 0), a.last) - b.last) - (a.dropped - b.dropped)
            for place, (a, b) in self._with_before(now).items()
        )

    def _with_before(
        self, now: dict[LanePlace, LaneAccount]
    ) -> dict[LanePlace, tuple[LaneAccount, LaneAccount]]:
        nothing = LaneAccount(0, 0, 0, 0)
        return {
            place: (account, self._before.get(place, nothing)) for place, account in now.items()
        }

    def _judge(self, *, interrupted: bool) -> OutageReport:
        now = self._account()
        pairs = self._with_before(now).values()
        made = self._made(now)
        delivered = max(0, self._delivered(now))
        lost = sum(a.dropped - b.dropped + a.refused - b.refused for a, b in pairs)
        ended_us = min(self._until_us, SYSTEM_CLOCK.unix_us())
        return OutageReport(
            passed=not (interrupted or lost) and self._drain_s is not None,
            interrupted=interrupted,
            simulated=False,
            site="",
            how="hold",
            table=self.table,
            destination=self.destination,
            interface="uplink",
            duration_s=self.duration_s,
            speed=1.0,
            outage_s=max(0, ended_us - self._since_us) / US_PER_S if self._since_us else 0.0,
            made=made,
            buffered=self._peak,
            delivered=delivered,
            late=max(0, made - delivered - lost),
            lost=lost,
            duplicated=None,
            drain_s=self._drain_s,
            longest_gap_s=None,
            gap_device="",
            alerts=AlertFigures(),
            accepted_percent=None,
            accepted_looks=0,
            started=self._helpers.started,
        )
