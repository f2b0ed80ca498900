"""How a mesh stands: from its state, and from who owns it now, if anybody does."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dunes.clock import SYSTEM_CLOCK, US_PER_S, rfc3339
from dunes.errors import DunesError
from dunes.gateway.directory import NodeView
from dunes.gateway.owner import Gateway
from dunes.gateway.service import ask_owner, socket_path
from dunes.gateway.store import MeshStore
from dunes.mesh.managerstate import Progress
from dunes.mesh.models.composition import Composition
from dunes.settings import Settings

LIVE_S = 3.0
STATES = {0: "off", 1: "on", 2: "no"}
PROGRESS = {
    Progress.GRANTED: "half-provisioned",
    Progress.PROVISIONED: "provisioned",
    Progress.CONFIGURED: "configured",
}
MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class MeshNode:
    """One node.

    Attributes:
        name: its name.
        unicast: primary address.
        elements: addresses it has.
        uuid: device UUID, hexadecimal.
        state: `half-provisioned`, `provisioned` or `configured`.
        steps: steps of its plan that are done.
        relay: `on`, `off`, `no` (it cannot), or empty.
        ttl: default TTL it was set to; null: not known.
        publish_period_s: it was set to; null: not known.
        crpl: senders it can remember; null: not known.
        seen: when it was last heard, RFC 3339; null: never.
        age_s: since then.
    """

    name: str
    unicast: int
    elements: int
    uuid: str
    state: str
    steps: int
    relay: str
    ttl: int | None
    publish_period_s: float | None
    crpl: int | None
    seen: str | None
    age_s: float | None


@dataclass(frozen=True, slots=True)
class Live:
    """What the owner of a mesh says.

    Attributes:
        online: a proxy carries messages.
        proxy: the radio's address of it.
        radio: in use.
        simulated: it hears the simulated site.
        kept: readings that were stored since it began.
        unreadable: messages that could not be read.
        dropped: what was refused, by reason.
        heard: seconds since a node was heard, by its primary address.
        suspects: by a node's name, what was refused of it, by reason.
        published: reports of linked devices that were sent.
        skipped: readings of linked devices that were not, by reason.
    """

    online: bool
    proxy: str
    radio: str
    simulated: bool
    kept: int
    unreadable: int
    dropped: dict[str, int] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)
    suspects: dict[str, dict[str, int]] = field(default_factory=dict)
    published: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkedDevice:
    """A device that is no node; the gateway speaks for it.

    Attributes:
        device: its name.
        element: of the gateway.
        address: of that element.
        since: RFC 3339.
    """

    device: str
    element: int
    address: int
    since: str


@dataclass(frozen=True, slots=True)
class MeshStatusReport:
    """How a mesh stands.

    Attributes:
        mesh_id: its name.
        table: where its telemetry goes.
        configured: nodes that are what they shall be.
        nodes: all of them.
        owner: who uses it now; null: nobody.
        live: what the owner says; null without one that answers.
        groups: names by address.
        linked: devices that the gateway speaks for.
    """

    mesh_id: str
    table: str
    configured: int
    nodes: tuple[MeshNode, ...]
    owner: str | None
    live: Live | None
    groups: dict[str, str] = field(default_factory=dict)
    linked: tuple[LinkedDevice, ...] = ()


async def live(gateway: Gateway, args: dict[str, Any]) -> Live:
    """Say how things stand at the owner's."""
    del args
    runner, now_s = gateway.runner, asyncio.get_running_loop().time()
    heard: dict[str, float] = {}
    for address, (at_s, _) in runner.heard.items():
        node = gateway.readings.node_of(address)
        if node is not None:
            key = str(node[0])
            heard[key] = min(round(now_s - at_s, 1), heard.get(key, float("inf")))
    suspects: dict[str, dict[str, int]] = {}
    for (address, code), count in gateway.manager.stack.suspects.items():
        if (node := gateway.readings.node_of(address)) is not None:
            own = suspects.setdefault(node[1], {})
            own[code] = own.get(code, 0) + count
    totals = gateway.appender.totals.accepted if gateway.appender is not None else {}
    return Live(
        runner.online,
        gateway.proxies.address,
        gateway.radio.name,
        gateway.radio.simulated,
        sum(totals.values()),
        gateway.readings.unreadable,
        dict(gateway.manager.dropped + gateway.manager.stack.dropped),
        heard,
        suspects,
        gateway.bridge.published,
        dict(+gateway.bridge.skipped),
    )


async def standing(settings: Settings, mesh_id: str | None) -> MeshStatusReport:
    """Say how a mesh stands, beside whoever uses it.

    Raises:
        NotFound: no such mesh.
    """
    import msgspec

    with MeshStore.open(settings, mesh_id or "", write=False) as store:
        now: Live | None = None
        path = socket_path(settings.paths, store.mesh_id)
        try:
            found = await ask_owner(path, "status", {}, timeout_s=LIVE_S)
            now = msgspec.convert(found, Live)
        except DunesError:
            now = None  # nobody, or somebody who is busy: what is stored tells the rest
        views = store.views()
        nodes = tuple(_node(view, now) for view in views)
        return MeshStatusReport(
            store.mesh_id,
            store.table,
            sum(view.progress == Progress.CONFIGURED for view in views),
            nodes,
            store.written_by,
            now,
            {f"{address:04X}": name for address, name in store.groups().items()},
            tuple(
                LinkedDevice(
                    each.device,
                    each.element,
                    store.network.unicast + each.element,
                    rfc3339(each.since_us),
                )
                for each in store.links()
                if each.device
            ),
        )


def _node(view: NodeView, now: Live | None) -> MeshNode:
    unix_us = SYSTEM_CLOCK.unix_us()
    age_s = None if view.seen_us is None else max(0.0, (unix_us - view.seen_us) / US_PER_S)
    lately_s = None if now is None else now.heard.get(str(view.unicast))
    if lately_s is not None:
        age_s = lately_s if age_s is None else min(age_s, lately_s)
    seen_us = None if age_s is None else unix_us - round(age_s * US_PER_S)
    kept = view.settings
    crpl = Composition.decode(view.composition).crpl if view.composition else None
    return MeshNode(
        view.shown,
        view.unicast,
        view.elements,
        view.uuid.hex(),
        PROGRESS.get(Progress(view.progress), "?"),
        view.step,
        STATES.get(kept.get("features", {}).get("relay"), ""),
        kept.get("defaultTTL"),
        period_of(kept),
        crpl,
        None if seen_us is None else rfc3339(seen_us - seen_us % MS_PER_S),
        None if age_s is None else round(age_s, 1),
    )


def period_of(kept: Mapping[str, Any]) -> float | None:
    """Give the shortest period of a node's telemetry in seconds, by what it was set to."""
    periods = [
        model["publish"]["period"] / MS_PER_S
        for element in kept.get("elements", ())
        for model in element["models"]
        if "publish" in model and model["publish"]["period"] and model["modelId"] != "0002"
    ]
    return min(periods, default=None)
