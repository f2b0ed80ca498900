"""An outage of the uplink while telemetry comes over the site's mesh.

Two hops, judged apart. Over the air, nodes number their reports; what their numbers say is
compared with the reports that the ground station holds: a flooding mesh may lose some. From
the gateway's disk on nothing may be lost: both stores count the same lanes.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic, sleep

from dunes.clock import SYSTEM_CLOCK, US_PER_S
from dunes.errors import ConfigError, NotFound, Unavailable
from dunes.gateway.standing import period_of
from dunes.gateway.store import MeshStore
from dunes.model import Priority, Reading
from dunes.settings import Settings
from dunes.sim.air.talk import MeshState
from dunes.sim.control import MadeState
from dunes.sim.definition import load_definition
from dunes.sim.helpers import FIRST_S, Feed
from dunes.sim.judge import AlertSeen, Judge
from dunes.sim.outage import MeshFigures, OutageReport, alert_figures
from dunes.sim.trial import AFTER_S, DRAIN_MIN_S, DRAIN_PER_S, LOOK_S, SkyTrial
from dunes.site import Site

SEQUENCE_MODULUS = 1 << 14
"""Of the numbers of reports (the vendor model's Report)."""
HEARD_PERCENT = 95.0
"""The guide's packet delivery."""
IN_FLIGHT_S = 1.0
"""What a node has sent is heard within this."""
PERIODS = 1.5
"""The first reading comes within so many periods of its node."""
POSITION, LATITUDE = "position", "latitude"
"""One report with one number, and the first of its two readings."""
NODE_CLOCK_US = 2 * US_PER_S
"""Nodes tell time in whole seconds: a report may look older than it is."""


@dataclass(frozen=True, slots=True)
class MeshAccount(MadeState):
    """What nodes have sent, by their own account.

    Attributes:
        numbers: the next number of each node's reports, modulo 2^14.
    """

    numbers: dict[str, int] = field(default_factory=dict)

    def begin(self) -> dict[str, int]:
        """Give the last number of each node."""
        return {name: number - 1 for name, number in self.numbers.items()}


def mesh_of(settings: Settings, site: Site, table: str) -> str | None:
    """Name the mesh of this gateway that brings a table's readings; None if there is none."""
    if not site.radio:
        return None
    try:
        with MeshStore.open(settings, write=False) as store:
            return store.mesh_id if store.table == table and store.views() else None
    except (NotFound, ConfigError):
        return None


@dataclass(slots=True)
class MeshTrial(SkyTrial):
    """One rehearsal over the mesh.

    Args:
        mesh_id: of the mesh that feeds the table.
    """

    mesh_id: str = field(kw_only=True)
    _numbered: frozenset[str] = field(init=False)
    _ready_at: int | None = None
    _heard_at_close: int = 0

    def __post_init__(self) -> None:
        """Know which kinds nodes number."""
        SkyTrial.__post_init__(self)
        air = load_definition(self.site.name).air
        kinds = () if air is None else air.kinds
        self._numbered = frozenset(
            LATITUDE if kind == POSITION else kind
            for node in kinds
            for element in node.elements
            for kind in element.reports
        )

    def _feed(self) -> Feed:
        with MeshStore.open(self.settings, self.mesh_id, write=False) as store:
            periods_s = [period_of(each.settings) for each in store.views()]
        return Feed(
            "mesh",
            f"dunes mesh-listen --mesh-id {self.mesh_id} --table {self.plan.table}",
            partial(_is_heard, self.settings, self.mesh_id),
            FIRST_S + PERIODS * min(filter(None, periods_s), default=0.0) / self.plan.speed,
        )

    def _account(self) -> MeshAccount:
        """Ask what the nodes have sent; times are ours, as the gateway stamps what it hears."""
        now_us = SYSTEM_CLOCK.unix_us()
        state: MeshState = self._control.request_mesh()
        ours = {name: node for name, node in state.nodes.items() if node.unicast}
        return MeshAccount(
            now_us,
            ((now_us, now_us, 1.0),),
            {self.plan.table: {name: node.readings for name, node in ours.items()}},
            {name: node.sequence for name, node in ours.items()},
        )

    def _since_us(self, made: MadeState) -> int:
        return made.site_us - NODE_CLOCK_US

    def _newest_are_there(self, made: MadeState) -> bool:
        """Say whether the ground holds what the gateway had heard when this was first asked."""
        del made
        if self._ready_at is None:
            self._ready_at = self._gateway.count().written
        return self._held() >= self._ready_at

    def _held(self) -> int:
        """Count what the ground holds of the streams that lie in the gateway's buffer."""
        return self._ground.count(self._gateway.epochs())

    # ------------------------------------------------------------------ phases

    def _prepare(self) -> None:
        """Hurry first: nodes speak once in their period, and that is site time."""
        self._hurry()
        SkyTrial._prepare(self)  # noqa: SLF001 - no super() in a class with slots

    def _drain(self) -> MadeState:
        """Wait until the ground station holds all that the gateway has heard."""
        heard = self._gateway.count().written
        close_s = monotonic() + AFTER_S
        while monotonic() < close_s:
            self._look("drain", self.plan.duration_s)
            sleep(LOOK_S)
        after = self._account()
        self._control.request_speed(self._former_speed)
        sleep(IN_FLIGHT_S)
        self._heard_at_close = self._gateway.count().written
        deadline_s = monotonic() + max(DRAIN_MIN_S, DRAIN_PER_S * self.plan.outage_s)
        while monotonic() < deadline_s:
            self._look("drain", self.plan.duration_s)
            held = self._held()
            if self._drained_us is None and held >= heard:
                self._drained_us = SYSTEM_CLOCK.unix_us()
            if held >= self._heard_at_close:
                break
            self._helpers.check()
            sleep(LOOK_S)
        return after

    def _look_for_alerts(self, made: MadeState) -> None:
        """Note when each alert is first seen on the ground; it was made when it was heard."""
        del made
        if not isinstance(self._before, MeshAccount):
            return
        now_us, begin = SYSTEM_CLOCK.unix_us(), self._before.begin()
        for alert in self._ground.readings(self._since_us(self._before), Priority.ALERT):
            for numbered in self._number(alert, begin):
                self._alerts.setdefault(
                    (numbered.device, numbered.seq or 0), (alert.ts_us, now_us)
                )

    # ------------------------------------------------------------------ judging

    def _judge(self, after: MadeState | None, *, interrupted: bool) -> OutageReport:
        self._tell("judge", "reading what the ground station holds")
        closing = after if isinstance(after, MeshAccount) else self._account()
        if after is None:
            sleep(IN_FLIGHT_S)
            self._heard_at_close = self._gateway.count().written
        before = self._before if isinstance(self._before, MeshAccount) else closing
        mesh, seen = self._mesh_figures(before, closing)
        made = max(0, self._heard_at_close - self._written_before)
        short = max(0, self._heard_at_close - self._held())
        late = min(short, self._gateway.count().there)
        duplicated = sum(count - 1 for count in seen.values())
        outage_us = (self._restored_us or SYSTEM_CLOCK.unix_us()) - (
            self._cut_us or SYSTEM_CLOCK.unix_us()
        )
        drain_s = None
        if self._drained_us is not None and self._restored_us is not None:
            drain_s = max(0, self._drained_us - self._restored_us) / US_PER_S
        acceptance = self._acceptance(max(0, self._made_between(before, closing) - made))
        plan = self.plan
        return OutageReport(
            passed=not (interrupted or short or duplicated) and made > 0 and mesh.passed,
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
            made=made,
            buffered=self._peak,
            delivered=max(0, made - short),
            late=late,
            lost=short - late,
            duplicated=duplicated,
            drain_s=drain_s,
            longest_gap_s=None,
            gap_device="",
            alerts=alert_figures(
                [AlertSeen(device, *times) for (device, _), times in self._alerts.items()],
                self._cut_us,
                self._restored_us,
            ),
            accepted_percent=acceptance.percent,
            accepted_looks=acceptance.looks,
            started=self._helpers.started,
            mesh=mesh,
        )

    def _mesh_figures(
        self, before: MeshAccount, after: MeshAccount
    ) -> tuple[MeshFigures, "Counter[Reading]"]:
        """Compare the reports that nodes have numbered with those that are anywhere.

        Returns:
            the figures, and how often the ground holds each reading of the rehearsal.
        """
        begin = before.begin()
        end = {
            name: begin[name] + (number - before.numbers[name]) % SEQUENCE_MODULUS
            for name, number in after.numbers.items()
            if name in begin
        }
        judge = Judge(begin)
        seen: Counter[Reading] = Counter()
        for reading in self._ground.readings(self._since_us(before)):
            seen[reading] += 1
            for numbered in self._number(reading, begin):
                judge.see(numbered)
        for reading in self._gateway.readings(self._since_us(before)):
            for numbered in self._number(reading, begin):
                judge.see(numbered)
        verdict = judge.verdict(end)
        percent = 100.0 * verdict.delivered / verdict.made if verdict.made else None
        figures = MeshFigures(
            mesh_id=self.mesh_id,
            nodes=len(before.numbers),
            reports=verdict.made,
            heard=verdict.delivered,
            heard_percent=percent,
            passed=percent is None or percent >= HEARD_PERCENT,
            unheard=verdict.missing_runs,
        )
        return figures, seen

    def _number(self, reading: Reading, begin: dict[str, int]) -> Iterator[Reading]:
        """Give a report of the rehearsal its full number; nothing for any other reading."""
        first = begin.get(reading.device)
        if first is not None and reading.seq is not None and reading.kind in self._numbered:
            ahead = (reading.seq - first) % SEQUENCE_MODULUS
            if 0 < ahead < SEQUENCE_MODULUS // 2:
                yield replace(reading, seq=first + ahead)


def _is_heard(settings: Settings, mesh_id: str) -> bool:
    """Say whether somebody listens to a mesh.

    Raises:
        Unavailable: somebody else has it.
    """
    with MeshStore.open(settings, mesh_id, write=False) as store:
        holder = store.written_by
    if holder is None:
        return False
    if "mesh-listen" in holder or "arachnid" in holder:
        return True
    raise Unavailable(
        f"the mesh {mesh_id} is in use: {holder}",
        hint="let it finish, or end it",
        code="mesh-busy",
    )
