"""What the sensors of mesh nodes measure: the channels of the site's worlds, node by node.

The worlds are made with the seeds that the site's own files are made with, and asked for their
probes in the same order: mesh and files tell of the same air, each with noise of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from dunes.clock import US_PER_S
from dunes.sim.definition import ChannelSpec, SiteDefinition, SourceSpec
from dunes.sim.telemetry import Channel, World, beyond, make_world

Probe = Callable[[float], float]


@dataclass(slots=True)
class Source:
    """One table's world, and how each place of it is measured."""

    spec: SourceSpec
    world: World
    probes: dict[tuple[str, int], tuple[ChannelSpec, Probe]]


@dataclass(slots=True)
class Instruments:
    """The instruments of one node.

    Attributes:
        world: what they look at.
        channels: by kind.
    """

    world: World | None = None
    channels: dict[str, Channel] = field(default_factory=dict)

    def read(self, kind: str, site_us: int) -> float | None:
        """Measure, in the unit of the kind; None where this node does not measure that."""
        channel = self.channels.get(kind)
        if channel is None or self.world is None:
            return None
        self.world.advance(site_us / US_PER_S)
        return channel.sample(site_us)

    def beyond(self, kind: str, site_us: int) -> float | None:
        """Measure; gives the value only if it is one to raise an alert for."""
        channel = self.channels.get(kind)
        if channel is None or not has_limits(channel.spec):
            return None
        number = self.read(kind, site_us)
        spec = channel.spec
        alert = number is not None and beyond(number, spec.alert_below, spec.alert_above)
        return number if alert else None


def has_limits(spec: ChannelSpec) -> bool:
    """Say whether a channel can raise an alert."""
    return spec.alert_above is not None or spec.alert_below is not None


def make_sources(definition: SiteDefinition, start_us: int) -> dict[str, Source]:
    """Make the worlds of a site, by table."""
    sources = {}
    for spec in definition.sources:
        world = make_world(definition, spec, start_us)
        probes = {
            (channel.kind, place): (channel, world.probe(channel.kind, place))
            for channel in spec.channels
            for place in range(1, spec.count + 1)
            if not channel.places or place in channel.places
        }
        sources[spec.table] = Source(spec, world, probes)
    return sources


def instruments(
    sources: Mapping[str, Source], table: str, name: str, number: int, seed: int
) -> Instruments:
    """Give a node its instruments.

    Args:
        sources: of the site.
        table: whose world it looks at; empty: it measures nothing.
        name: the node's.
        number: of the node among its kind, from 1; places are shared out in turn.
        seed: of the site.
    """
    source = sources.get(table)
    if source is None:
        return Instruments()
    place = (number - 1) % source.spec.count + 1
    channels = {}
    for (kind, where), (spec, probe) in source.probes.items():
        if where == place:
            rng = Random(f"{seed}/{name}/{kind}/mesh")  # noqa: S311 - noise, no secret
            channels[kind] = Channel(name, spec, probe, rng, round(spec.every_s * US_PER_S))
    return Instruments(source.world, channels)
