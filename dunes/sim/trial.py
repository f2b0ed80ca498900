"""Rehearse an outage on the simulated site: cut its sky, watch, restore, judge.

Everything that is under trial runs as the separate programs that a person would
start. This one only cuts, watches and counts; the judgement rests on the site's
count of what sensors made and on the ground station's store.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from dunes.authority.masking import Reveal
from dunes.clock import SYSTEM_CLOCK, US_PER_S
from dunes.crypto.identity import load_identity
from dunes.errors import ConfigError, DunesError, NotFound, Unavailable
from dunes.model import Priority
from dunes.settings import Settings
from dunes.sim.control import CutRequest, MadeState, SiteControl
from dunes.sim.definition import load_definition
from dunes.sim.gatewayview import GatewayView
from dunes.sim.groundview import GroundView
from dunes.sim.helpers import Feed, Helpers, file_feed
from dunes.sim.judge import AlertSeen, Judge
from dunes.sim.outage import Acceptance, OutageReport, Progress, alert_figures, passes
from dunes.site import Site
from dunes.uplink.enroll import find_gateway
from dunes.uplink.grounddir import ground_buffer
from dunes.uplink.target import gateway_name

LOOK_S = 0.2
"""Between two looks: the resolution of all times that are told."""

TELL_S = 1.0
DURABLE_WITHIN_S = 2.0
"""A reading has to be on the gateway's disk this long after it was made."""

READY_S = 90.0
"""What is queued before has to be delivered within this."""

DRAIN_MIN_S = 60.0
DRAIN_PER_S = 3.0
"""A drain may take a minute, and three seconds per second of outage."""

AFTER_S = 1.0
"""Sensors go on for this long after the link's return before the account is closed."""

REPAIR_S = 10.0
"""Once the newest readings are there, older ones that are missing have this long to come."""

RECEIPTS_S = 3.0

SLACK_S = 30.0
"""Sensors write within this of measuring; where the trial's readings begin on the ground."""

BEFORE_S = 6.0
"""Before the outage the link is watched at work until an alert has come through, at most
for this long."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be rehearsed.

    Attributes:
        table: the buffer table.
        destination: the ground station's name.
        interface: what is cut.
        duration_s: for how long, site seconds.
        speed: site seconds in one of ours, during the rehearsal.
        mode: `silent` or `reset`.
        cause: what the dish says; empty: the site's usual cause.
    """

    table: str
    destination: str
    interface: str
    duration_s: float
    speed: float
    mode: str = "silent"
    cause: str = ""

    @property
    def outage_s(self) -> float:
        """The outage in our seconds."""
        return self.duration_s / self.speed


def need_enrolment(settings: Settings, site: Site) -> None:
    """Make sure that the site's ground station knows this gateway.

    Raises:
        ConfigError: it does not.
    """
    try:
        identity = load_identity(settings.paths)
    except NotFound:
        known = False
    else:
        with ground_buffer(Path(site.ground_data)) as buffer:
            known = find_gateway(buffer, gateway_name(settings, identity.kid)) is not None
    if not known:
        router = load_definition(site.name).router_ip
        raise ConfigError(
            "the site's ground station does not know this gateway",
            hint=f"mcp init --starlink-router {router} --mesh-id {site.name}-ble-001",
            code="not-enrolled",
        )


@dataclass(slots=True)
class SkyTrial:
    """One rehearsal.

    Args:
        settings: of the gateway.
        site: the running site.
        plan: what is to be rehearsed.
        tell: told how far it is, about once a second.
    """

    settings: Settings
    site: Site
    plan: Plan
    tell: Callable[[Progress], None]
    _control: SiteControl = field(init=False)
    _gateway: GatewayView = field(init=False)
    _helpers: Helpers = field(init=False)
    _ground: GroundView = field(init=False)
    _former_speed: float = 0.0
    _before: MadeState | None = None
    _written_before: int = 0
    _ground_before: int = 0
    _cut_us: int | None = None
    _restored_us: int | None = None
    _drained_us: int | None = None
    _peak: int = 0
    _alerts: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    _short: list[int] = field(default_factory=list)
    _made_at: deque[tuple[float, int]] = field(default_factory=deque)
    _told_s: float = 0.0

    def __post_init__(self) -> None:
        """Make what watches."""
        self._control = SiteControl.of(self.site)
        self._gateway = GatewayView(self.settings, self.plan.table)
        self._helpers = Helpers(
            self.settings, self.plan.table, self.plan.destination, self._feed()
        )
        self._ground = GroundView.open(
            Path(self.site.ground_data), self.plan.table, Reveal(self.settings.paths)
        )

    def _feed(self) -> Feed:
        """Say who brings the readings."""
        table = self.plan.table
        return file_feed(self.settings, table, self.site.telemetry[table])

    def _account(self) -> MadeState:
        """Ask how far every sensor has counted."""
        return self._control.request_made()

    def run(self) -> OutageReport:
        """Rehearse; Ctrl-C ends it early, restores the sky and gives what is so far.

        Raises:
            Unavailable: ingest or sync does not run, or does not deliver before the outage.
            UsageError: the site cannot do what is asked for.
        """
        interrupted = False
        after: MadeState | None = None
        try:
            try:
                self._control.request_cut(replace(self._request(), check_only=True))
                self._prepare()
                self._cut()
                after = self._drain()
            except KeyboardInterrupt:
                interrupted = True
            finally:
                self._undo()
            return self._judge(after, interrupted=interrupted)
        finally:
            self._helpers.stop()
            self._gateway.close()
            self._ground.close()

    # ------------------------------------------------------------------ phases

    def _prepare(self) -> None:
        """Start what does not run, and wait until what is queued is delivered."""
        started = self._helpers.start(self._gateway)
        self._tell("prepare", "started " + ", ".join(started) if started else "all is running")
        made = self._account()
        deadline_s = time.monotonic() + READY_S
        seen = -1
        while True:
            self._helpers.check()
            count = self._ground.count()
            if count > seen and self._newest_are_there(made):
                return
            seen = count
            there = self._gateway.count().there
            if time.monotonic() > deadline_s:
                raise Unavailable(
                    f"what was queued before was not delivered within {READY_S:.0f} s "
                    f"({there} readings wait)\n{self._helpers.tails()}",
                    hint=f"mcp sync --destination {self.plan.destination}",
                    code="not-ready",
                )
            if self._due():
                self._tell("prepare", "waiting until what is queued is delivered", buffered=there)
            time.sleep(LOOK_S)

    def _newest_are_there(self, made: MadeState) -> bool:
        """Say whether the ground holds the newest reading of each device as of `made`."""
        newest = made.tables[self.plan.table]
        judge = Judge({device: seq - 1 for device, seq in newest.items() if seq})
        for reading in self._ground.readings(self._since_us(made)):
            judge.see(reading)
        return judge.missing(newest) == 0

    def _since_us(self, made: MadeState) -> int:
        """Give a site time before which lies what was made before `made`."""
        return made.site_us - round(SLACK_S * max(self.plan.speed, self._former_speed)) * US_PER_S

    def _cut(self) -> None:
        """Let a storm break, cut the sky, and watch until the site itself opens it again."""
        plan = self.plan
        self._hurry()
        self._before = self._account()
        self._written_before = self._gateway.count().written
        self._ground_before = self._ground.count()
        self._watch_the_link()
        self._control.request_cut(self._request())
        begin_us = self._cut_us = SYSTEM_CLOCK.unix_us()
        end_us = begin_us + round(plan.outage_s * US_PER_S)
        while True:
            now_us = SYSTEM_CLOCK.unix_us()
            state = self._control.request_state()
            self._look("cut", min(plan.duration_s, (now_us - begin_us) / US_PER_S * plan.speed))
            if state.cut is None:
                self._restored_us = min(end_us, SYSTEM_CLOCK.unix_us())
                return
            self._helpers.check()
            time.sleep(LOOK_S)

    def _hurry(self) -> None:
        """Let site time run as fast as it is to."""
        if not self._former_speed:
            self._former_speed = self._control.request_state().speed
            self._control.request_speed(self.plan.speed)

    def _watch_the_link(self) -> None:
        """Let the site's storm break, and wait for an alert of it."""
        storm = load_definition(self.site.name).storm
        if storm == "none":
            return
        self._control.request_event(storm)
        deadline_s = time.monotonic() + BEFORE_S
        while not self._alerts and time.monotonic() < deadline_s:
            self._look("before", 0.0)
            self._helpers.check()
            time.sleep(LOOK_S)

    def _request(self) -> CutRequest:
        plan = self.plan
        return CutRequest(plan.duration_s, plan.interface, plan.mode, plan.cause)

    def _drain(self) -> MadeState:
        """Wait until the ground station holds all that was made.

        Returns:
            What was made when the account was closed.
        """
        restored = self._account()
        close_s = time.monotonic() + AFTER_S
        while time.monotonic() < close_s:
            self._look("drain", self.plan.duration_s)
            time.sleep(LOOK_S)
        after = self._account()
        self._control.request_speed(self._former_speed)
        deadline_s = time.monotonic() + max(DRAIN_MIN_S, DRAIN_PER_S * self.plan.outage_s)
        wanted = self._ground_before + self._made_between(self._before or restored, restored)
        settled_s: float | None = None
        while True:
            self._look("drain", self.plan.duration_s)
            late = time.monotonic() > deadline_s
            if late or (count := self._ground.count()) >= wanted:
                begin_s = time.monotonic()
                judge = self._scan()
                now_s = time.monotonic()
                if self._drained_us is None and not judge.missing(self._of(restored)):
                    self._drained_us = SYSTEM_CLOCK.unix_us()
                missing = judge.missing(self._of(after))
                if settled_s is None and judge.newest_there(self._of(after)):
                    settled_s = now_s
                if not missing:
                    self._await_receipts(after)
                if late or not missing or (settled_s and now_s - settled_s > REPAIR_S):
                    return after
                # before so many more have come, looking costs and shows nothing
                wanted = count + (1 if self._drained_us is None or settled_s else missing)
                time.sleep(min(2.0, 3 * (now_s - begin_s)))
            self._helpers.check()
            time.sleep(LOOK_S)

    def _await_receipts(self, after: MadeState) -> None:
        """Give the receipts of what was delivered a moment to reach the gateway."""
        deadline_s = time.monotonic() + RECEIPTS_S
        while time.monotonic() < deadline_s:
            newer = self._made_between(after, self._account())
            if self._gateway.count().there <= newer:
                return
            time.sleep(LOOK_S)

    def _undo(self) -> None:
        """Open the sky and put the speed back, whatever happened."""
        with contextlib.suppress(DunesError):
            self._control.request_restore()
            if self._former_speed:
                self._control.request_speed(self._former_speed)

    # ------------------------------------------------------------------ looking

    def _look(self, phase: str, done_s: float) -> None:
        """Look at everything once."""
        made = self._account()
        now_s = time.monotonic()
        made_count = self._made_between(self._before or made, made)
        written, there = self._gateway.count()
        self._peak = max(self._peak, there)
        self._made_at.append((now_s, made_count))
        if now_s - self._made_at[0][0] >= DURABLE_WITHIN_S:
            while now_s - self._made_at[0][0] >= DURABLE_WITHIN_S:
                due = self._made_at.popleft()[1]
            self._short.append(due - (written - self._written_before))
        self._look_for_alerts(made)
        if self._due():
            delivered = max(0, self._ground.count() - self._ground_before)
            self._tell(phase, "", done_s, made_count, there, delivered)

    def _acceptance(self, lost_before: int = 0) -> Acceptance:
        """Sum up the looks at what was made `DURABLE_WITHIN_S` before, and was on the disk.

        Args:
            lost_before: readings that never reached the gateway.
        """
        return Acceptance(len(self._short), sum(each <= lost_before for each in self._short))

    def _look_for_alerts(self, made: MadeState) -> None:
        """Note when each alert is first seen on the ground."""
        if self._before is None:
            return
        begin = self._before.tables[self.plan.table]
        now_us = SYSTEM_CLOCK.unix_us()
        clock = made.clock()
        for alert in self._ground.readings(self._since_us(self._before), Priority.ALERT):
            seq = alert.seq or 0
            if seq > begin.get(alert.device, seq) and (alert.device, seq) not in self._alerts:
                self._alerts[alert.device, seq] = clock.real_us(alert.ts_us), now_us

    def _scan(self) -> Judge:
        """Read all that the ground station holds of the rehearsal."""
        before = self._before or self._account()
        judge = Judge(self._of(before))
        for reading in self._ground.readings(self._since_us(before)):
            judge.see(reading)
        return judge

    def _of(self, made: MadeState) -> dict[str, int]:
        return made.tables[self.plan.table]

    def _made_between(self, first: MadeState, last: MadeState) -> int:
        return sum(self._of(last).values()) - sum(self._of(first).values())

    def _due(self) -> bool:
        return time.monotonic() - self._told_s >= TELL_S

    def _tell(
        self,
        phase: str,
        note: str,
        done_s: float = 0.0,
        made: int = 0,
        buffered: int = 0,
        delivered: int = 0,
    ) -> None:
        self._told_s = time.monotonic()
        total_s = self.plan.duration_s
        self.tell(Progress(phase, done_s, total_s, made, buffered, delivered, note))

    # ------------------------------------------------------------------ judging

    def _judge(self, after: MadeState | None, *, interrupted: bool) -> OutageReport:
        """Compare what was made with what the ground station holds."""
        self._tell("judge", "reading what the ground station holds")
        closing = after or self._account()
        if after is None:
            time.sleep(DURABLE_WITHIN_S)  # what was made a moment ago is still on its way
        judge = self._scan()
        verdict = judge.verdict(self._of(closing))
        late = 0
        if verdict.missing:
            for reading in self._gateway.readings(self._since_us(self._before or closing)):
                judge.see(reading)
            late = verdict.missing - judge.missing(self._of(closing))
        plan = self.plan
        outage_us = (self._restored_us or SYSTEM_CLOCK.unix_us()) - (
            self._cut_us or SYSTEM_CLOCK.unix_us()
        )
        drain_s = None
        if self._drained_us is not None and self._restored_us is not None:
            drain_s = max(0, self._drained_us - self._restored_us) / US_PER_S
        acceptance = self._acceptance()
        return OutageReport(
            passed=passes(verdict) and not interrupted,
            interrupted=interrupted,
            simulated=True,
            site=self.site.name,
            how="sky",
            table=plan.table,
            destination=plan.destination,
            interface=plan.interface,
            duration_s=plan.duration_s,
            speed=plan.speed,
            outage_s=max(0, outage_us) / US_PER_S,
            made=verdict.made,
            buffered=self._peak,
            delivered=verdict.delivered,
            late=late,
            lost=verdict.missing - late,
            duplicated=verdict.duplicated,
            drain_s=drain_s,
            longest_gap_s=verdict.longest_gap_s,
            gap_device=verdict.gap_device,
            alerts=alert_figures(
                [AlertSeen(device, *times) for (device, _), times in self._alerts.items()],
                self._cut_us,
                self._restored_us,
            ),
            accepted_percent=acceptance.percent,
            accepted_looks=acceptance.looks,
            started=self._helpers.started,
            missing_runs=verdict.missing_runs,
        )
