"""The air of a site, whole: medium, controllers for hosts, and all nodes."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from random import Random, SystemRandom

from dunes.clock import SYSTEM_CLOCK, US_PER_S, Clock
from dunes.errors import UsageError
from dunes.mesh.links import AD_MESH_BEACON, AD_MESH_MESSAGE, Outgoing
from dunes.mesh.models.generic_server import ActuatorSet
from dunes.mesh.node import Node, NodeEvent, NodeReset
from dunes.mesh.nodestate import Description
from dunes.mesh.serving import ModelEvent
from dunes.sim.air.ear import Ear
from dunes.sim.air.faults import OFF_S, Fault, Faults
from dunes.sim.air.field import Field, Place, spread
from dunes.sim.air.hciserver import HciServer
from dunes.sim.air.instruments import Source, instruments, make_sources
from dunes.sim.air.keeper import LAZY_S, Keeper
from dunes.sim.air.making import describe, make_peripheral
from dunes.sim.air.medium import Medium
from dunes.sim.air.models import Models, make_models
from dunes.sim.air.node import VirtualNode
from dunes.sim.air.reporting import Reporter, watch
from dunes.sim.air.roster import Member, roster
from dunes.sim.air.talk import Acted, MeshState, NodeState
from dunes.sim.definition import AirSpec, SiteDefinition

BEACON_UNPROVISIONED = 0
CARRIED_PER_S = 15.0
"""Messages of telemetry that all nodes together send at most because site time runs ahead."""
CROWDING = 0.25
"""The area of a site of fewer nodes goes with the root of their number: smaller, less dense."""


@dataclass(slots=True)
class Fleet:
    """All nodes, and the air between them and to the gateway.

    Attributes:
        definition: of the site.
        folder: where nodes keep their state.
        site_us: gives site time.
        clock: ours.
        members: the nodes, by name.
        nodes: running ones, by name.
        acted: told what actuators stand at.
        speed: site seconds in one of ours.
    """

    definition: SiteDefinition
    folder: Path
    site_us: Callable[[], int]
    members: dict[str, Member]
    heard: Field
    places: dict[str, Place]
    sources: dict[str, Source]
    medium: Medium
    server: HciServer
    keeper: Keeper
    clock: Clock
    acted: Callable[[Acted], None]
    nodes: dict[str, VirtualNode]
    models: dict[str, Models]
    reporters: dict[str, Reporter]
    secrets: Random
    ear: Ear = field(default_factory=Ear)
    speed: float = 1.0
    _pace: float = 1.0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    def make(
        cls,
        definition: SiteDefinition,
        folder: Path,
        *,
        start_us: int,
        site_us: Callable[[], int],
        nodes: int | None = None,
        clock: Clock = SYSTEM_CLOCK,
        acted: Callable[[Acted], None] = lambda _acted: None,
        secrets: Random | None = None,
    ) -> "Fleet":
        """Make the air of a site that has a mesh; to be called in a running event loop.

        Args:
            definition: of the site.
            folder: where nodes keep their state.
            start_us: site time at which the worlds begin.
            site_us: gives site time.
            nodes: how many; the definition's number if not given.
            clock: ours.
            acted: told what actuators are set to, and at the start where they stand.
            secrets: the nodes' dice for keys.
        """
        spec = need_air(definition)
        members = {each.name: each for each in roster(definition, nodes or spec.nodes)}
        seed = definition.seed
        radius_m = spec.radius_m * (len(members) / spec.nodes) ** CROWDING
        places = spread(list(members), radius_m, Random(f"{seed}/places"))  # noqa: S311
        heard = Field.of(places, spec.radio, Random(f"{seed}/air"))  # noqa: S311 - loss
        medium = Medium(Random(f"{seed}/medium"))  # noqa: S311 - when advertisements fall
        made = cls(
            definition,
            folder,
            site_us,
            members,
            heard,
            places,
            make_sources(definition, start_us),
            medium,
            HciServer(medium),
            Keeper(folder),
            clock,
            acted,
            {},
            {},
            {},
            secrets or SystemRandom(),
        )
        for member in members.values():
            made._add(member)
        return made

    async def start(self, port: int = 0) -> int:
        """Let all nodes live; gives the port of HCI."""
        bound = await self.server.start(port)
        for name, node in self.nodes.items():
            for what, value in self.keeper.kept[name].actuators.items():
                self._move(name, what, value)
            node.start()
        self._tasks.append(asyncio.create_task(watch(self.reporters, self.nodes)))
        self._tasks.append(asyncio.create_task(self._keep()))
        return bound

    async def stop(self) -> None:
        """End everything; what nodes keep is written."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.server.stop()
        for node in self.nodes.values():
            node.stop()
        self.medium.close()
        self.keeper.end()

    # ---------------------------------------------------------------- nodes

    def _add(self, member: Member) -> None:
        name, spec, seed = member.name, need_air(self.definition), self.definition.seed
        kept = self.keeper.load(name)
        tools = instruments(self.sources, member.kind.table, name, member.number, seed)
        pace = Random(f"{seed}/{name}/pace")  # noqa: S311 - when reports come
        reporter = Reporter(name, tools, self.keeper, self.site_us, self.clock, pace)
        models = make_models(member.kind.elements, reporter.read, reporter.sent)
        reporter.models = models
        if models.reporting is not None:
            models.reporting[1].sequence = kept.account.sequence
        for what, value in kept.actuators.items():
            if what in models.actuators:
                models.actuators[what][1].glide.target = value
        peripheral = make_peripheral(self.medium, member, self.places[name], spec.radio)
        core = self._begin(name, describe(member, models))
        faults = Faults(Random(f"{seed}/{name}/faults"))  # noqa: S311 - what is lost
        self.nodes[name] = VirtualNode(
            name, core, peripheral, self.keeper, self._cast, self.ear, faults, self._told
        )
        self.models[name], self.reporters[name] = models, reporter

    def _begin(self, name: str, description: Description) -> Node:
        """Begin a node's core from what the node kept."""
        kept, now_s = self.keeper.kept[name], asyncio.get_running_loop().time()
        slept_us = max(0, self.clock.unix_us() - kept.saved_us) if kept.state else 0
        core = Node.start(
            description,
            self.secrets,
            now_s=now_s,
            state=kept.state,
            slept_s=slept_us / US_PER_S,
        )
        self._spread(core)
        return core

    def _spread(self, core: Node) -> None:
        """Put the first publications after a restart anywhere in their periods."""
        now_s = asyncio.get_running_loop().time()
        core.publisher.schedule.set_pace(self._pace, now_s)
        due_s = core.publisher.schedule.due_s
        for key, at_s in due_s.items():
            due_s[key] = now_s + self.medium.rng.random() * (at_s - now_s)

    def set_speed(self, speed: float) -> None:
        """Let telemetry's periods pass as fast as site time; radio and transport keep ours."""
        self.speed = speed
        self._keep_pace()

    def _keep_pace(self) -> None:
        """Follow site time as far as a flooding mesh carries it: radio does not run faster."""
        pace = 1.0
        if self.speed > 1.0:
            asked = sum(
                each.messages_per_s(self.nodes[name]) for name, each in self.reporters.items()
            )
            pace = min(self.speed, max(1.0, CARRIED_PER_S / asked)) if asked else self.speed
        if pace == self._pace:
            return
        self._pace = pace
        now_s = asyncio.get_running_loop().time()
        for node in self.nodes.values():
            node.node.publisher.schedule.set_pace(pace, now_s)
            node.pump()

    def _cast(self, node: VirtualNode, out: Outgoing) -> None:
        """Carry a PDU to the neighbours of a node."""
        if out.data[0] == AD_MESH_BEACON and out.data[1] == BEACON_UNPROVISIONED:
            return  # no node of the site looks for new devices
        message = out.data[0] == AD_MESH_MESSAGE
        heard = self.ear.heard(node.node, out.data[1:]) if message else set()
        loop = asyncio.get_running_loop()
        for copy in self.heard.cast(node.name, out.sends, out.interval_s, loop.time()):
            loop.call_later(copy.after_s, self._deliver, copy.receivers, out.data, heard)

    def _deliver(self, receivers: set[str], data: bytes, heard: set[str]) -> None:
        new = receivers - heard
        heard |= new
        for name in sorted(new):  # a set has no order of its own; the dice want one
            self.nodes[name].hear(data)

    def _told(self, node: VirtualNode, event: NodeEvent) -> None:
        match event:
            case NodeReset():
                self.keeper.change(node.name, self.clock.unix_us(), state=None)
                self.keeper.write(node.name)
            case ModelEvent(event=ActuatorSet() as done):
                self._act(node.name, event.element, done)
            case _:  # of interest to nobody here
                return

    def _act(self, name: str, element: int, done: ActuatorSet) -> None:
        for what, (where, server) in self.models[name].actuators.items():
            if where == element and server.identity == done.model:
                kept = self.keeper.kept[name]
                account = replace(kept.account, commands=kept.account.commands + 1)
                actuators = {**kept.actuators, what: done.value}
                now_us = self.clock.unix_us()
                self.keeper.change(name, now_us, account=account, actuators=actuators)
                self.keeper.write(name)  # before it is acknowledged
                self._move(name, what, done.value)

    def _move(self, name: str, what: str, value: int) -> None:
        """Let an actuator move the world, if it stands where the world is looked at."""
        member = self.members[name]
        source = self.sources.get(member.kind.table)
        if source is not None and member.number <= source.spec.count:
            source.world.act(what, member.number, value)
        self.acted(Acted(name, member.kind.table, member.number, what, value))

    # ---------------------------------------------------------------- faults

    def order(self, name: str, fault: Fault) -> None:
        """Let something go wrong with a node.

        Raises:
            UsageError: there is no such node.
        """
        node, member = self._find(name)
        match fault:
            case Fault.DEAD:
                node.stop()
            case Fault.REBOOT:
                node.stop()
                asyncio.get_running_loop().call_later(OFF_S, self._revive, name)
                return
            case Fault.WRONG_OOB:
                node.node.description.static_oob = bytes(
                    octet ^ 0xFF for octet in member.static_oob
                )
            case _:  # decided per PDU
                pass
        node.faults.active.add(fault)

    def clear(self, name: str) -> None:
        """End all faults of a node.

        Raises:
            UsageError: there is no such node.
        """
        node, member = self._find(name)
        node.faults.active.clear()
        node.node.description.static_oob = member.static_oob
        self._revive(name)

    def _find(self, name: str) -> tuple[VirtualNode, Member]:
        if name not in self.nodes:
            near = get_close_matches(name, self.nodes, n=1) or list(self.nodes)[:1]
            raise UsageError(f"no node {name[:40]!r} in the mesh; there is {near[0]}")
        return self.nodes[name], self.members[name]

    def _revive(self, name: str) -> None:
        node = self.nodes[name]
        if node.powered or Fault.DEAD in node.faults.active:
            return
        found = self.models[name].reporting
        if found is not None:
            found[1].unix_offset_s = None  # no battery behind its clock
        node.start_again(self._begin(name, node.node.description))

    # ---------------------------------------------------------------- how it is

    def state(self, radio: str) -> MeshState:
        """Say how all nodes are.

        Args:
            radio: where the gateway's controller is.
        """
        nodes = {name: self._node_state(name) for name in self.nodes}
        return MeshState(radio, "", self.site_us(), nodes)

    def _node_state(self, name: str) -> NodeState:
        member, node, kept = self.members[name], self.nodes[name], self.keeper.kept[name]
        return NodeState(
            node.node.unicast,
            member.address.hex(":").upper(),
            member.uuid.hex(),
            member.static_oob.hex(),
            kept.account.publications,
            kept.account.readings,
            kept.account.alerts,
            kept.account.sequence,
            kept.account.commands,
            kept.actuators,
            tuple(sorted(node.faults.active)),
        )

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LAZY_S)
            self.keeper.write_waiting()
            self._keep_pace()


def need_air(definition: SiteDefinition) -> AirSpec:
    """Give the mesh of a site.

    Raises:
        ValueError: it has none.
    """
    if definition.air is None:
        raise ValueError(f"the site {definition.name} has no mesh")
    return definition.air
