"""What a mesh shall be, from profile, power mode, range and plan; and whether it can be. Pure."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dunes.gateway.planfile import PlanFile, PlannedNode
from dunes.gateway.profile import Power, Profile
from dunes.gateway.reach import TTL_MAX, Field, Load, knee_per_s
from dunes.mesh.managerstate import KnownNode
from dunes.mesh.models.composition import Composition
from dunes.mesh.procedure import Plan
from dunes.mesh.wire import ModelId

GATEWAYS = 1
"""That send into the mesh: this one."""
FIT = 1.005
"""A load is too much from half a percent above the room on; periods come in steps."""


@dataclass(frozen=True, slots=True)
class Design:
    """Everything that decides what nodes become.

    Attributes:
        nodes: how many the mesh shall have.
        profile: groups and models.
        power: how often they speak, and who relays.
        app_key: key of the models.
        range_m: radius of the site around the gateway; None: not known.
        planned: torgo's plan; None: none.
        period_fixed: the period was asked for; a plan's does not change it.
    """

    nodes: int
    profile: Profile
    power: Power
    app_key: bytes
    range_m: float | None = None
    planned: PlanFile | None = None
    period_fixed: bool = False

    def __repr__(self) -> str:
        """Hide the key."""
        return f"<Design of {self.nodes} nodes>"

    # ---------------------------------------------------------------- what nodes become

    @property
    def field(self) -> Field | None:
        """Where the nodes are, as far as that is known."""
        if self.range_m is not None:
            return Field(self.nodes, self.range_m)
        return None if self.planned is None else Field(self.nodes, self.planned.radius_m)

    @property
    def ttl(self) -> int | None:
        """The default TTL of nodes that no plan knows."""
        if self.planned is not None:
            return self.planned.ttl
        return None if self.field is None else self.field.ttl

    @property
    def relay_share(self) -> float:
        """The share of the nodes that relay, without a plan."""
        if self.power.relay == "none":
            return 0.0
        if self.power.relay == "all" or self.field is None:
            return 1.0
        heard = self.field.in_earshot(self.nodes)
        return min(1.0, self.power.relay_neighbours / max(heard, 1e-9))

    def relays(self, node: KnownNode) -> bool:
        """Say whether a node relays; without a plan its UUID decides, the same each time."""
        planned = self._planned(node.name)
        if planned is not None:
            return planned.relays
        dice = int.from_bytes(hashlib.sha256(node.uuid).digest()[:4], "big") / 2**32
        return dice < self.relay_share

    def plan_of(self, node: KnownNode) -> Plan:
        """Say what a node shall become."""
        planned = self._planned(node.name)
        if planned is None:
            relays = self.relays(node)
            return self.profile.plan(self.power, self.app_key, ttl=self.ttl, relays=relays)
        interval_s = self.planned.interval_s if self.planned is not None else 0.0
        power = replace(
            self.power,
            transmissions=planned.transmissions,
            transmit_interval_s=interval_s,
            relay_transmissions=max(planned.relay_transmissions, 1),
            relay_interval_s=interval_s,
            publish_period_s=(
                self.power.publish_period_s
                if self.period_fixed
                else max(planned.period_s, self.power.publish_period_s)
            ),
        )
        return self.profile.plan(power, self.app_key, ttl=planned.ttl, relays=planned.relays)

    def _planned(self, name: str) -> PlannedNode | None:
        return None if self.planned is None else self.planned.nodes.get(name)

    # ---------------------------------------------------------------- whether it can be

    def load(self, nodes: Iterable[KnownNode] = ()) -> Load:
        """Say what the mesh is asked to carry, and what it can.

        Args:
            nodes: those that are known; where their composition is, it is counted what they
                publish. All others count one message a period.
        """
        known = list(nodes)[: self.nodes]
        sources = sum(self._sources(node) for node in known) + self.nodes - len(known)
        period_s = self.power.publish_period_s
        if self.planned is not None and not self.period_fixed:
            planned = [node.period_s for node in self.planned.nodes.values()]
            period_s = max(period_s, *planned) if period_s else 0.0
        asked = sources / period_s if period_s else 0.0
        if self.planned is not None:
            return Load(asked, self.planned.knee_per_s, "plan")
        field = self.field or Field(self.nodes, 1.0)
        relays = math.ceil(self.relay_share * self.nodes)
        knee = knee_per_s(
            field,
            relays=relays,
            transmissions=self.power.transmissions,
            relayed=self.power.relay_transmissions,
        )
        return Load(asked, knee, "estimate")

    def _sources(self, node: KnownNode) -> int:
        if not node.composition:
            return 1
        has = Composition.decode(node.composition).has
        return sum(
            len(has(use.model))
            for use in self.profile.models
            if use.publish and not use.event and use.model != ModelId(0x0002)
        )

    def warnings(self, nodes: Iterable[KnownNode] = ()) -> list[str]:
        """Say, with figures, what cannot be: load, range, hops, replay lists."""
        known = list(nodes)
        found = [self._too_loud(known), self._too_far(), self._too_deep()]
        return [each for each in (*found, *self._forgetful(known), self._unplanned(known)) if each]

    def _too_loud(self, known: list[KnownNode]) -> str:
        load = self.load(known)
        if load.messages_per_s <= load.room_per_s * FIT:
            return ""
        sources = round(load.messages_per_s * self.power.publish_period_s)
        period = load.period_s(max(sources, 1))
        by = "the plan" if load.source == "plan" else "an estimate"
        return (
            f"load: {load.messages_per_s:,.4g} messages/s asked of one flooding mesh that loses "
            f"1 % from {load.knee_per_s:,.3g}/s on ({by}); half of it, {load.room_per_s:,.3g}/s, "
            f"is for telemetry: use --period {period:g}s or more"
        )

    def _too_far(self) -> str:
        field = self.field
        if self.planned is not None or field is None or field.spacing_m <= field.hop_m:
            return ""
        return (
            f"range: {self.nodes} nodes spread over {field.radius_m:,.0f} m stand about "
            f"{field.spacing_m:,.0f} m apart, and one hop carries {field.hop_m:,.0f} m: at least "
            f"{field.nodes_needed:,} nodes, higher antennas, or a smaller range are needed"
        )

    def _too_deep(self) -> str:
        field = self.field
        if self.planned is not None or field is None or field.hops < TTL_MAX:
            return ""
        return f"hops: {field.radius_m:,.0f} m are {field.hops} hops; a TTL of 127 ends before"

    def _forgetful(self, known: list[KnownNode]) -> list[str]:
        """Compare replay lists with the senders that nodes listen to."""
        listened = {name for use in self.profile.models for name in use.subscribe}
        senders = GATEWAYS
        if any(use.publish in listened for use in self.profile.models if use.publish):
            senders += self.nodes - 1
        small = [
            (node, Composition.decode(node.composition).crpl)
            for node in known
            if node.composition and Composition.decode(node.composition).crpl < senders
        ]
        if not small:
            return []
        least = min(crpl for _, crpl in small)
        text = (
            f"replay lists: {len(small)} nodes remember {least} senders (CRPL) and hear "
            f"{senders}: they ignore whoever comes later; build firmware with a larger list"
        )
        return [text]

    def _unplanned(self, known: list[KnownNode]) -> str:
        if self.planned is None:
            return ""
        strangers = [node.name for node in known if node.name not in self.planned.nodes]
        if not strangers:
            return ""
        return (
            f"plan: {len(strangers)} nodes are not in {self.planned.name}, such as "
            f"{strangers[0]}: they are set up by the profile alone"
        )
