"""`mesh-init` as a library: design a mesh, make it if need be, bring its nodes to the design."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dunes.clock import SYSTEM_CLOCK
from dunes.errors import NotFound
from dunes.gateway.commission import Commissioner
from dunes.gateway.design import Design
from dunes.gateway.dialogue import Ask, nobody
from dunes.gateway.naming import mesh_table
from dunes.gateway.nodesettings import PLANNED, UNDERWAY, differs, mark_of, narrowed, settings_of
from dunes.gateway.oobfile import value_for
from dunes.gateway.outcome import Commissioned, Outcome, Told
from dunes.gateway.owner import Gateway, choose_mesh, open_gateway
from dunes.gateway.planfile import PlanFile
from dunes.gateway.profile import Power, Profile
from dunes.gateway.store import MeshStore
from dunes.gateway.wish import Wish
from dunes.mesh.ivindex import UNKNOWN
from dunes.mesh.managerstate import KnownNode, Progress
from dunes.mesh.procedure import Plan
from dunes.mesh.provisioning.oob import Oob
from dunes.settings import Settings, write_profile
from dunes.site import running_site

NO_KEY = bytes(16)


@dataclass(frozen=True, slots=True)
class Request:
    """What `mesh-init` is asked for.

    Attributes:
        nodes: how many the mesh shall have.
        profile: groups and models.
        power: how often they speak.
        range_m: radius of the site.
        planned: torgo's plan.
        period_fixed: the period was asked for.
        mesh_id: the mesh; None: as configured.
        ble: the radio; None: as configured.
        oob: static values by UUID.
        require_oob: take no device without.
        ask: asks a person; None: nobody is here.
        timeout_s: for all of it.
        quiet_s: with nothing new heard for so long, there is nothing more.
        parallel: nodes at once; 0: as many as the radio has links.
    """

    nodes: int
    profile: Profile
    power: Power
    range_m: float | None = None
    planned: PlanFile | None = None
    period_fixed: bool = False
    mesh_id: str | None = None
    ble: str | None = None
    oob: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    require_oob: bool = False
    ask: Ask | None = None
    timeout_s: float = 900.0
    quiet_s: float = 10.0
    parallel: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """What nodes are set to.

    Attributes:
        publish_period_s: of telemetry.
        messages_per_s: that makes, of all nodes together.
        carries_per_s: that one flooding mesh carries before it loses 1 %.
        by: whose figure that is: `plan` or `estimate`.
        ttl: default TTL; null: as the node has it.
        relay_share: of the nodes, without a plan.
        transmissions: of a node's own messages.
        relay_transmissions: of those of others.
        groups: addresses by name.
    """

    publish_period_s: float
    messages_per_s: float
    carries_per_s: float
    by: str
    ttl: int | None
    relay_share: float
    transmissions: int
    relay_transmissions: int
    groups: dict[str, str]


@dataclass(frozen=True, slots=True)
class MeshInitReport:
    """A line of `mesh-init`: progress of a node, or the report at the end.

    Attributes:
        line: `progress` or `report`.
        mesh_id: the mesh.
        wanted: nodes asked for.
        configured: nodes that are what they shall be.
        node: whose progress it is; null in the report.
        before: nodes that were so when it began.
        changed: of these, nodes that were brought to another design.
        table: where its telemetry goes.
        radio: which was used; empty in a dry run.
        design: what nodes are set to; null in progress.
        failed: nodes that are not, and why.
        warnings: what cannot be, with figures.
        duration_s: of the run.
        dry_run: nothing was done.
        timed_out: the time was over.
        simulated: the nodes are those of the simulated site.
    """

    line: Literal["progress", "report"]
    mesh_id: str
    wanted: int
    configured: int
    node: Told | None = None
    before: int = 0
    changed: int = 0
    table: str = ""
    radio: str = ""
    design: Settled | None = None
    failed: tuple[Outcome, ...] = ()
    warnings: tuple[str, ...] = ()
    duration_s: float = 0.0
    dry_run: bool = False
    timed_out: bool = False
    simulated: bool = False

    @property
    def complete(self) -> bool:
        """Say whether all that was asked for is there."""
        return self.configured >= self.wanted and not self.failed


def design_of(request: Request, app_key: bytes) -> Design:
    """Give the design of a request."""
    return Design(
        request.nodes,
        request.profile,
        request.power,
        app_key,
        request.range_m,
        request.planned,
        request.period_fixed,
    )


def shown(design: Design, nodes: list[KnownNode]) -> Settled:
    """Say what nodes are set to."""
    load = design.load(nodes)
    return Settled(
        design.power.publish_period_s,
        round(load.messages_per_s, 3),
        round(load.knee_per_s, 3),
        load.source,
        design.ttl,
        round(design.relay_share, 3),
        design.power.transmissions,
        design.power.relay_transmissions,
        {name: f"{address:04X}" for name, address in design.profile.groups.items()},
    )


def rehearse(settings: Settings, request: Request) -> MeshInitReport:
    """Say what would be done; touch nothing."""
    mesh_id = choose_mesh(settings, running_site(settings.paths), request.mesh_id)
    done = 0
    try:
        with MeshStore.open(settings, mesh_id, write=False) as store:
            done = sum(view.progress == Progress.CONFIGURED for view in store.views())
    except NotFound:
        done = 0
    design = design_of(request, NO_KEY)
    return MeshInitReport(
        "report",
        mesh_id,
        request.nodes,
        done,
        before=done,
        table=mesh_table(mesh_id),
        design=shown(design, []),
        warnings=tuple(design.warnings()),
        dry_run=True,
    )


async def set_up(
    settings: Settings,
    request: Request,
    *,
    tell: Callable[[MeshInitReport], None],
    note: Callable[[str], None],
    warn: Callable[[str], None],
) -> MeshInitReport:
    """Do it.

    Args:
        settings: as loaded.
        request: what is asked for.
        tell: told the progress of each node.
        note: told what an operator may want to know.
        warn: told, before anything is sent, what cannot be.

    Raises:
        MeshBusy: another program uses the mesh.
        NoRadio: there is no adapter.
    """
    mesh_id = choose_mesh(settings, running_site(settings.paths), request.mesh_id)
    for text in design_of(request, NO_KEY).warnings():
        warn(text)
    began_s = SYSTEM_CLOCK.monotonic_s()
    async with open_gateway(
        settings,
        holder="dunes mesh-init",
        mesh_id=mesh_id,
        create=True,
        ble=request.ble,
        note=note,
        warn=warn,
    ) as gateway:
        if gateway.manager.stack.iv.index == UNKNOWN:  # imported: a proxy has to tell it
            async with gateway.proxies.kept():
                await gateway.proxies.ready(request.timeout_s)
        if not settings["mesh.id"]:
            write_profile(settings, {"mesh.id": mesh_id})
        for name, address in request.profile.groups.items():
            if gateway.store.groups().get(address) != name:
                gateway.store.set_group(address, name)
        key = gateway.manager.stack.keys.apps[0].current.key
        design = design_of(request, key)

        def told(node: Told) -> None:
            tell(MeshInitReport("progress", mesh_id, node.wanted, node.done, node))

        work = Commissioner(gateway.runner, gateway.proxies, _wish(request, design, gateway), told)
        done, timed_out = await _bounded(work, request.timeout_s)
        nodes = list(gateway.manager.nodes.values())
        return MeshInitReport(
            "report",
            mesh_id,
            request.nodes,
            done.configured,
            before=done.before,
            changed=done.changed,
            table=gateway.store.table,
            radio=gateway.radio.name,
            design=shown(design, nodes),
            failed=done.outcomes,
            warnings=tuple(design.warnings(nodes)),
            duration_s=round(SYSTEM_CLOCK.monotonic_s() - began_s, 3),
            timed_out=timed_out,
            simulated=gateway.radio.simulated,
        )


async def _bounded(work: Commissioner, timeout_s: float) -> tuple[Commissioned, bool]:
    before = work.good()
    try:
        async with asyncio.timeout(timeout_s):
            return await work.run(), False
    except TimeoutError:
        await work.runner.flush()
        return work.report(before), True


def _wish(request: Request, design: Design, gateway: Gateway) -> Wish:
    store = gateway.store
    kept = {view.unicast: view.settings for view in store.views()}
    before = _to_change(design, gateway, kept)

    def plan_of(node: KnownNode) -> Plan:
        whole = design.plan_of(node)
        if node.unicast not in before:
            return whole
        return narrowed(whole, before[node.unicast], settings_of(whole, node))

    def oob_of(uuid: bytes) -> Oob:
        person = request.ask is not None
        value = value_for(request.oob, uuid)
        return Oob(value, output=person, input=person, none=not request.require_oob)

    def begin(node: KnownNode, plan: Plan) -> bool:
        now, mark = kept.get(node.unicast, {}), mark_of(plan)
        if now.get(UNDERWAY) == mark:
            return False
        kept[node.unicast] = {**now, UNDERWAY: mark}
        store.set_settings(node.unicast, kept[node.unicast])
        return node.step > 0

    def configured(node: KnownNode) -> None:
        whole = design.plan_of(node)
        kept[node.unicast] = settings_of(whole, node) | {PLANNED: mark_of(whole)}
        store.set_settings(node.unicast, kept[node.unicast])

    return Wish(
        request.nodes,
        plan_of,
        oob_of,
        request.ask or nobody,
        frozenset(before),
        begin,
        configured,
        quiet_s=request.quiet_s,
        parallel=request.parallel,
    )


def _to_change(
    design: Design, gateway: Gateway, kept: Mapping[int, dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    """Find the nodes that are set to something else; gives what they are set to."""
    found = {}
    for unicast, settings in kept.items():
        node = gateway.manager.nodes.get(unicast)
        ours = PLANNED in settings or UNDERWAY in settings
        if node is None or node.progress is not Progress.CONFIGURED or not ours:
            continue
        if differs(settings, settings_of(design.plan_of(node), node)):
            found[unicast] = dict(settings)
    return found
