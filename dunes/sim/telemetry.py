"""Readings as sensors make them: true value + bias + drift + noise, in steps of resolution.

Pure: given the seed, the definition and a start, the same readings come out,
in whatever pieces time is asked for.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from random import Random
from typing import Protocol

from dunes.model import Priority, Reading
from dunes.sim.crew import Crew
from dunes.sim.definition import ChannelSpec, SiteDefinition, SourceSpec
from dunes.sim.habitat import Habitat
from dunes.sim.rover import Rovers

US_PER_S = 1_000_000

AGAIN_US = 60 * US_PER_S
"""A channel repeats an alert (and a warning) once a minute while its cause lasts."""


class World(Protocol):
    """What sensors look at."""

    def advance(self, at_s: float) -> None:
        """Bring the world to a moment of site time; never back."""

    def trigger(self, kind: str, at_s: float) -> bool:
        """Let something happen; False if it cannot happen here."""

    def act(self, what: str, place: int, value: int) -> bool:
        """Take what an actuator was set to; False if that moves nothing here.

        Args:
            what: e.g. `heater`.
            place: of the device, from 1.
            value: 0 or 1; a level from -32768 to 32767.
        """

    def probe(self, kind: str, place: int) -> Callable[[float], float]:
        """Give the true value of a quantity in a place as a function of time."""


@dataclass(slots=True)
class Channel:
    """One sensor of one device.

    Attributes:
        device: its device.
        spec: what it measures and how well.
        probe: the true value by site seconds.
        rng: its own dice.
        period_us: between two samples.
    """

    device: str
    spec: ChannelSpec
    probe: Callable[[float], float]
    rng: Random
    period_us: int
    error: float = 0.0
    walk: float = 0.0
    digits: int = 0
    alerted_us: int = -AGAIN_US
    warned_us: int = -AGAIN_US

    def __post_init__(self) -> None:
        """Draw the constant error of this sensor."""
        self.error = self.rng.gauss(0.0, self.spec.bias)
        self.walk = self.spec.drift * math.sqrt(self.spec.every_s / 3600.0)
        self.digits = max(0, -math.floor(math.log10(self.spec.step)))

    def sample(self, ts_us: int) -> float:
        """Measure once."""
        spec = self.spec
        true = self.probe(ts_us / US_PER_S)
        if self.walk:
            self.error += self.rng.gauss(0.0, self.walk)
        spread = spec.noise
        if spec.noise_root:
            spread += spec.noise_root * math.sqrt(abs(true))
        measured = true + self.error + (self.rng.gauss(0.0, spread) if spread else 0.0)
        if spec.lowest is not None and measured < spec.lowest:
            measured = spec.lowest
        if spec.highest is not None and measured > spec.highest:
            measured = spec.highest
        return round(round(measured / spec.step) * spec.step, self.digits)

    def priority(self, value: float, ts_us: int) -> Priority:
        """Say how urgent a value is: an alert at most once a minute, warnings alike."""
        spec = self.spec
        if beyond(value, spec.alert_below, spec.alert_above):
            if ts_us - self.alerted_us >= AGAIN_US:
                self.alerted_us = ts_us
                return Priority.ALERT
            return Priority.WARNING
        if beyond(value, spec.warn_below, spec.warn_above) and ts_us - self.warned_us >= AGAIN_US:
            self.warned_us = ts_us
            return Priority.WARNING
        return Priority.ROUTINE


def beyond(value: float, below: float | None, above: float | None) -> bool:
    """Say whether a value lies outside its limits."""
    return (below is not None and value < below) or (above is not None and value > above)


@dataclass(slots=True)
class Source:
    """All devices of one table.

    Attributes:
        table: where their readings belong.
        world: what they look at.
        seqs: the last running number of each device.
    """

    table: str
    world: World
    seqs: dict[str, int]
    _channels: list[Channel] = field(default_factory=list)
    _due: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def make(
        cls,
        spec: SourceSpec,
        world: World,
        seed: int,
        start_us: int,
        seqs: Mapping[str, int] | None = None,
    ) -> "Source":
        """Make the devices of a source.

        Args:
            spec: which devices and channels.
            world: what they look at.
            seed: of their dice.
            start_us: site time; the first samples come within their periods.
            seqs: where each device's running number stands; 0 where nothing is said.
        """
        names = [spec.device_name(place) for place in range(1, spec.count + 1)]
        source = cls(spec.table, world, {name: (seqs or {}).get(name, 0) for name in names})
        for channel_spec in spec.channels:
            for place, name in enumerate(names, 1):
                if channel_spec.places and place not in channel_spec.places:
                    continue
                rng = Random(f"{seed}/{name}/{channel_spec.kind}")  # noqa: S311 - noise, no secret
                period_us = round(channel_spec.every_s * US_PER_S)
                probe = world.probe(channel_spec.kind, place)
                # sensors stamp whole milliseconds
                first_us = start_us + int(rng.random() * period_us) // 1000 * 1000
                source._due.append((first_us, len(source._channels)))
                source._channels.append(Channel(name, channel_spec, probe, rng, period_us))
        heapify(source._due)
        return source

    def readings(self, until_us: int) -> Iterator[Reading]:
        """Give all readings up to and including `until_us` of site time, in their order."""
        due, channels, seqs, advance = self._due, self._channels, self.seqs, self.world.advance
        while due and due[0][0] <= until_us:
            ts_us, index = due[0]
            channel = channels[index]
            advance(ts_us / US_PER_S)
            value = channel.sample(ts_us)
            seq = seqs[channel.device] = seqs[channel.device] + 1
            heapreplace(due, (ts_us + channel.period_us, index))
            yield Reading(
                channel.device,
                channel.spec.kind,
                value,
                channel.spec.unit,
                ts_us,
                channel.priority(value, ts_us),
                seq,
                simulated=True,
            )


def make_world(definition: SiteDefinition, spec: SourceSpec, start_us: int) -> World:
    """Make what the sensors of a source look at; the same for the same seed and start."""
    rng = Random(f"{definition.seed}/{spec.table}/world")  # noqa: S311 - a model, no secret
    start_s = start_us / US_PER_S
    match spec.world:
        case "habitat":
            return Habitat(definition.crew, definition.volume_m3, start_s, rng)
        case "crew":
            return Crew(rng, start_s)
        case "rover":
            return Rovers(
                spec.count, definition.latitude_deg, definition.longitude_deg, start_s, rng
            )


def make_sources(
    definition: SiteDefinition,
    start_us: int,
    seqs: Mapping[str, Mapping[str, int]] | None = None,
) -> dict[str, Source]:
    """Make all sources of a site, by table.

    Args:
        definition: the site.
        start_us: site time at which they begin.
        seqs: where the running numbers stand, by table and device.
    """
    sources = {}
    for spec in definition.sources:
        world = make_world(definition, spec, start_us)
        known = (seqs or {}).get(spec.table, {})
        sources[spec.table] = Source.make(spec, world, definition.seed, start_us, known)
    return sources
