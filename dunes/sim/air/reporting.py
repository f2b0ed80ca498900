"""What nodes send of their own accord: the account of it, and alerts.

A value beyond its limits is told at once, and again once a minute of ours while its cause
lasts: a site that runs fast does not flood its mesh.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dunes.clock import Clock
from dunes.sim.air.instruments import Instruments
from dunes.sim.air.keeper import Keeper
from dunes.sim.air.models import Models
from dunes.sim.air.node import VirtualNode

WATCH_S = 1.0
"""Each node looks at its limits this often."""
SLICES = 20
"""Not all nodes in the same moment."""
AGAIN_S = 60.0


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
        models: the node's; set when they are made.
    """

    name: str
    instruments: Instruments
    keeper: Keeper
    site_us: Callable[[], int]
    clock: Clock
    models: Models = field(default_factory=Models)
    _alerted_s: dict[str, float] = field(default_factory=dict)

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
        self.keeper.change(self.name, self.clock.unix_us(), account=now)

    def alerts(self, kinds: tuple[str, ...], now_s: float) -> Iterator[Alert]:
        """Give what is to be told now."""
        for kind in kinds:
            if now_s - self._alerted_s.get(kind, -AGAIN_S) < AGAIN_S:
                continue
            number = self.instruments.beyond(kind, self.site_us())
            if number is not None:
                self._alerted_s[kind] = now_s
                yield Alert(kind, number)

    def raise_alerts(self, node: VirtualNode) -> None:
        """Let the node tell what is beyond its limits, if it may publish."""
        found = self.models.reporting
        if found is None or not node.powered or not node.node.provisioned:
            return
        element, server = found
        if node.node.config.config.of(element, server.identity).publication is None:
            return
        now_s = asyncio.get_running_loop().time()
        for alert in self.alerts(server.kinds, now_s):
            message = server.alert(alert.kind, alert.number, now_s)
            node.node.publish(element, server, message, now_s)
            node.pump()


async def watch(reporters: dict[str, Reporter], nodes: dict[str, VirtualNode]) -> None:
    """Let all nodes look at their limits, for ever."""
    names, turn = list(nodes), 0
    while True:
        await asyncio.sleep(WATCH_S / SLICES)
        for name in names[turn::SLICES]:
            reporters[name].raise_alerts(nodes[name])
        turn = (turn + 1) % SLICES
