"""Watch the link: ask the devices, feed the monitor, tell what came out.

The one place where client, monitor and memory meet; `dunes starlink-status`, the
daemon and sync all look through it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dunes.clock import SYSTEM_CLOCK, US_PER_S, Clock
from dunes.settings import Settings
from dunes.site import Site
from dunes.starlink.client import AUTO, NOT_GIVEN, TIMEOUT_S, DeviceClient, targets
from dunes.starlink.errors import StarlinkError
from dunes.starlink.memory import LinkMemory
from dunes.starlink.monitor import LinkChanged, Monitor
from dunes.starlink.status import DISH, ROUTER, Look, Snapshot, look_at, rfc3339_s

WITNESS_TIMEOUT_S = 2.0
"""For the router's view while the dish is silent: it is near, or it is off too."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the link's state.

    Attributes:
        state: the new state.
        cause: why it is down; empty otherwise.
        previous: the state before.
        since: when the link itself changed, RFC 3339.
    """

    state: str
    cause: str
    previous: str
    since: str


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The link now.

    Attributes:
        state: `up`, `down`, `unreachable` (the device does not answer) or `unknown`.
        cause: why it is down.
        since: since when, RFC 3339; empty where not known.
        for_s: for how long.
        degraded: why an up link is worse than it should be.
        operator_made: somebody chose this (stowed, asleep): no alarm.
        simulated: the answers come from the simulated site.
        at: when this was found, RFC 3339.
        endpoint: who answered; empty if nobody did.
        trouble: why nobody did.
        device: what it says; null if it did not answer.
        witness: what the router says while the dish is silent.
        changes: of state, that this look brought to light.
    """

    state: str
    cause: str
    since: str
    for_s: float | None
    degraded: tuple[str, ...]
    operator_made: bool
    simulated: bool
    at: str
    endpoint: str
    trouble: str
    device: Snapshot | None
    witness: Snapshot | None
    changes: tuple[Change, ...]


class LinkWatch:
    """A gateway's link.

    Args:
        main: the device whose link it is: the dish, or the router where there is no dish.
        witness: the router, asked only while `main` is silent; None to do without.
        memory: where the state survives; None to forget it.
        clock: of this machine, or of a test.
    """

    def __init__(
        self,
        main: DeviceClient,
        *,
        witness: DeviceClient | None = None,
        memory: LinkMemory | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._main = main
        self._witness = witness
        self._memory = memory
        self._clock = clock
        self._has_history = True
        now_s, unix_s = self._now()
        self.monitor = memory.load(now_s, unix_s) if memory else Monitor()

    def poll(self) -> LinkStatus:
        """Look once; never raises for what a device does or fails to do."""
        look = witness = None
        trouble = ""
        try:
            look = self._look(self._main)
        except StarlinkError as e:
            trouble = e.message
        now_s, unix_s = self._now()
        if look is not None:
            unix_s = look.observation.unix_s
            changes = self.monitor.receive_observation(look.observation, now_s)
        else:
            changes = self.monitor.receive_silence(now_s, unix_s)
            witness = self._ask_witness()
        return self._status(look, witness, trouble, changes, unix_s)

    def remember(self) -> None:
        """Write the state down for the next run.

        Raises:
            StorageError: the state directory cannot be written.
        """
        if self._memory is not None:
            self._memory.save(self.monitor, *self._now())

    def close(self) -> None:
        """Let go of the connections."""
        self._main.close()
        if self._witness is not None:
            self._witness.close()

    def _now(self) -> tuple[float, float]:
        return self._clock.monotonic_s(), self._clock.unix_us() / US_PER_S

    def _look(self, client: DeviceClient) -> Look:
        """Ask for status and history; make do with what this firmware gives."""
        status = client.ask_status()
        history = self._history(client)
        return look_at(status, history, unix_s=self._now()[1], has_history=self._has_history)

    def _history(self, client: DeviceClient) -> Any | None:
        if not self._has_history:
            return None
        try:
            return client.ask("get_history")
        except StarlinkError as e:
            self._has_history = e.reason not in NOT_GIVEN
            return None

    def _ask_witness(self) -> Snapshot | None:
        if self._witness is None:
            return None
        try:
            status = self._witness.ask("get_status", timeout_s=WITNESS_TIMEOUT_S)
            return look_at(status, None, unix_s=self._now()[1]).snapshot
        except StarlinkError:
            return None  # its silence is already told by the dish's

    def _status(
        self,
        look: Look | None,
        witness: Snapshot | None,
        trouble: str,
        changes: list[LinkChanged],
        unix_s: float,
    ) -> LinkStatus:
        link = self.monitor.link
        used = self._main.used if look is not None else None
        since = link.since_unix_s
        return LinkStatus(
            state=link.state.value,
            cause=link.cause,
            since="" if since is None else rfc3339_s(since),
            for_s=None if since is None else round(max(unix_s - since, 0.0), 1),
            degraded=link.degraded,
            operator_made=link.operator_made,
            simulated=self._main.simulated,
            at=rfc3339_s(unix_s),
            endpoint=str(used) if used else "",
            trouble=trouble,
            device=look.snapshot if look else None,
            witness=witness,
            changes=tuple(
                Change(c.state.value, c.cause, c.previous.value, rfc3339_s(c.since_unix_s))
                for c in changes
            ),
        )


def link_watch(
    settings: Settings,
    site: Site | None,
    *,
    timeout_s: float = TIMEOUT_S,
    clock: Clock = SYSTEM_CLOCK,
) -> LinkWatch:
    """Make the watch of this gateway from its configuration.

    The dish is asked; the router takes its place where `dunes init-starlink` found
    only a router.
    """
    devices: Mapping[str, Any] = settings["starlink.devices"]
    addresses = {role: settings[f"starlink.{role}_ip"] for role in (DISH, ROUTER)}

    def client(role: str) -> DeviceClient:
        endpoints = targets(role, addresses[role], settings["starlink.transport"], site)
        known = devices.get(role, {}).get("transport", AUTO)
        endpoints.sort(key=lambda e: e.transport != known)
        return DeviceClient(endpoints, timeout_s=timeout_s)

    if set(devices) == {ROUTER}:
        main, witness = client(ROUTER), None
    else:
        main, witness = client(DISH), client(ROUTER)
    memory = LinkMemory.at(settings.paths, simulated=main.simulated)
    return LinkWatch(main, witness=witness, memory=memory, clock=clock)
