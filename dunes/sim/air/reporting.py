"""What nodes send of their own accord: the account of it, and alerts.

A value beyond its limits is told at once, and again once a minute of ours while its cause
lasts: a site that runs fast does not flood its mesh.

The vendor model reports by the period of its publication. A gateway that sets none leaves the
pace to the node: it is that of its Sensor Server then, or else `OWN_PACE_S`.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

from dunes.clock import Clock
from dunes.mesh.models.config import read_period_octet
from dunes.mesh.models.sensor import SENSOR_SERVER
from dunes.mesh.wire import ModelId
from dunes.sim.air.instruments import Instruments
from dunes.sim.air.keeper import Keeper
from dunes.sim.air.models import Models
from dunes.sim.air.node import VirtualNode

WATCH_S = 1.0
"""Each node looks at its limits this often."""
SLICES = 20
"""Not all nodes in the same moment."""
AGAIN_S = 60.0
OWN_PACE_S = 60.0
PERIOD_MASK = 0x3F
"""The steps of a publish period; without any there is none (Mesh Protocol 1.1, 4.2.3.3)."""


class Alert(NamedTuple):
    """A value beyond its limits."""

    kind: str
    number: float


@dataclass(slots=True)
class Reporter:
    """The reports of one node.

    Attributes:
        name: the node's.
        instruments: what it measures with.
        keeper: of the account.
        site_us: gives site time.
        clock: ours.
        rng: when the first report of an own pace comes.
        models: the node's; set when they are made.
    """

    name: str
    instruments: Instruments
    keeper: Keeper
    site_us: Callable[[], int]
    clock: Clock
    rng: Random
    models: Models = field(default_factory=Models)
    _alerted_s: dict[str, float] = field(default_factory=dict)
    _due_s: float | None = None

    def read(self, kind: str) -> float | None:
        """Measure."""
        return self.instruments.read(kind, self.site_us())

    def sent(self, readings: int, alerts: int) -> None:
        """Count a publication."""
        before = self.keeper.kept[self.name].account
        now = replace(
            before,
            publications=before.publications + 1,
            readings=before.readings + readings,
            alerts=before.alerts + alerts,
        )
        if self.models.reporting is not None:
            now = replace(now, sequence=self.models.reporting[1].sequence)
        self.keeper.sent(self.name, self.clock.unix_us(), now)

    def alerts(self, kinds: tuple[str, ...], now_s: float) -> Iterator[Alert]:
        """Give what is to be told now."""
        for kind in kinds:
            if now_s - self._alerted_s.get(kind, -AGAIN_S) < AGAIN_S:
                continue
            number = self.instruments.beyond(kind, self.site_us())
            if number is not None:
                self._alerted_s[kind] = now_s
                yield Alert(kind, number)

    def look(self, node: VirtualNode) -> None:
        """Let the node tell what it has to tell now, if it may publish."""
        found = self.models.reporting
        if found is None or not node.powered or not node.node.provisioned:
            return
        element, server = found
        publication = node.node.config.config.of(element, server.identity).publication
        if publication is None:
            self._due_s = None
            return
        now_s = asyncio.get_running_loop().time()
        for alert in self.alerts(server.kinds, now_s):
            message = server.alert(alert.kind, alert.number, now_s)
            node.node.publish(element, server, message, now_s)
            node.pump()
        if not publication.period & PERIOD_MASK and self._is_due(node, now_s):
            periodic = server.publication(now_s)
            if periodic is not None:
                node.node.publish(element, server, periodic, now_s)
                node.pump()

    def messages_per_s(self, node: VirtualNode) -> float:
        """Say how many messages of telemetry its publications ask for, at the pace of ours."""
        asked = 0.0
        for each in node.node.config.config.models:
            published = each.publication
            if published is not None and published.period & PERIOD_MASK:
                many = len(self._kinds(each.element, each.model))
                asked += many / read_period_octet(published.period)
        if self.models.reporting is not None:
            element, server = self.models.reporting
            own = node.node.config.config.of(element, server.identity).publication
            if own is not None and not own.period & PERIOD_MASK:
                asked += len(server.kinds) / self._period_s(node)
        return asked

    def _kinds(self, element: int, model: ModelId) -> tuple[str, ...]:
        """Give what a model publishes in messages of their own."""
        if self.models.reporting is not None:
            where, server = self.models.reporting
            if (where, server.identity) == (element, model):
                return server.kinds
        return ("",)

    def _is_due(self, node: VirtualNode, now_s: float) -> bool:
        """Say whether an own pace wants reports now."""
        pace_s = self._pace_s(node)
        if self._due_s is None:
            self._due_s = now_s + self.rng.random() * pace_s
        self._due_s = min(self._due_s, now_s + pace_s)
        if now_s < self._due_s:
            return False
        self._due_s = now_s + pace_s
        return True

    def _pace_s(self, node: VirtualNode) -> float:
        """Give the period of its own pace, in our seconds: site time may run ahead."""
        return self._period_s(node) / node.node.publisher.schedule.pace

    def _period_s(self, node: VirtualNode) -> float:
        for each in node.node.config.config.models:
            published = each.publication
            if each.model == SENSOR_SERVER and published and published.period & PERIOD_MASK:
                return read_period_octet(published.period)
        return OWN_PACE_S


async def watch(reporters: dict[str, Reporter], nodes: dict[str, VirtualNode]) -> None:
    """Let all nodes look at what they have to tell, for ever."""
    names, turn = list(nodes), 0
    while True:
        await asyncio.sleep(WATCH_S / SLICES)
        for name in names[turn::SLICES]:
            reporters[name].look(nodes[name])
        turn = (turn + 1) % SLICES
