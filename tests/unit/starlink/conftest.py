"""A dish in memory: the virtual one, under a clock that the test moves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor

import pytest

from dunes.sim.starlink_device import WARM_S, Condition, VirtualDish, World
from dunes.sim.starlink_sky import VirtualSky, planned
from dunes.starlink.descriptors import device_api
from dunes.starlink.monitor import LinkChanged, Monitor
from dunes.starlink.status import Look, look_at

BEGIN_S = 1_800_000_000.0


@dataclass
class Bench:
    """A dish, a monitor and the time since the start."""

    dish: VirtualDish
    world: World
    monitor: Monitor
    at_s: float = 0.0
    changes: list[tuple[float, LinkChanged]] = field(default_factory=list)

    def ask(self, request: str):
        api = device_api({})
        return api.response(self.dish.handle(api.request(request).SerializeToString()))

    def look(self) -> Look:
        return look_at(self.ask("get_status"), self.ask("get_history"), unix_s=BEGIN_S + self.at_s)

    def poll(self) -> None:
        if self.dish.busy():
            new = self.monitor.receive_silence(self.at_s, BEGIN_S + self.at_s)
        else:
            new = self.monitor.receive_observation(self.look().observation, self.at_s)
        self.changes += [(self.at_s, change) for change in new]

    def run(self, until_s: float, poll_s: float) -> list[tuple[float, str]]:
        """Poll in a rhythm; give (time of the decision, `state` or `state:cause`)."""
        while self.at_s <= until_s:
            self.poll()
            self.at_s += poll_s
        return [
            (at, change.state.value + (f":{change.cause}" if change.cause else ""))
            for at, change in self.changes
        ]


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """Make a bench under a schedule of outages."""

    def make(schedule=(), *, handover_share=0.0, seed=1, **monitor) -> Bench:
        made: list[Bench] = []
        sky = VirtualSky(planned(schedule, BEGIN_S), seed, handover_share)
        world = World(lambda: BEGIN_S + made[0].at_s, Condition(sky, floor(BEGIN_S) - WARM_S))
        made.append(Bench(VirtualDish(device_api({}), world), world, Monitor(**monitor)))
        return made[0]

    return make
