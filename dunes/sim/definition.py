"""What a simulated site consists of, read from `dunes/sim/sites/NAME.toml`."""

import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from typing import Literal

from dunes.errors import DataError, NotFound
from dunes.sim.air.pathloss import RadioSpec

CutCause = Literal["NO_SATS", "OBSTRUCTED", "NO_SCHEDULE", "NO_DOWNLINK", "THERMAL_SHUTDOWN"]
EventKind = Literal["solar-particle", "micrometeorite", "dust-storm", "none"]

NODES_MAX = 2000
"""A site's mesh has at most so many nodes."""


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """The way from the gateway to the ground station.

    Attributes:
        one_way_delay_s: light and everything on the way, in our seconds at any site speed.
        jitter_s: what a piece may be late.
        loss: share of packets lost, 0 to 1.
        rate_bps: from the site to the ground; 0: no limit.
        rate_down_bps: from the ground to the site; 0: no limit.
    """

    one_way_delay_s: float = 0.02
    jitter_s: float = 0.0
    loss: float = 0.0
    rate_bps: float = 0.0
    rate_down_bps: float = 0.0


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One quantity that sensors of a source measure.

    Attributes:
        kind: what, e.g. `co2`.
        unit: e.g. `ppm`.
        every_s: time between two samples, in site seconds.
        step: the sensor's resolution; values are multiples of it.
        noise: standard deviation of a sample.
        noise_root: the same per root of the value, as counters have it.
        bias: standard deviation of a sensor's constant error.
        drift: standard deviation of the error's walk in an hour.
        lowest, highest: what the sensor can show.
        places: numbers of the devices that measure it; empty: all.
        warn_below, warn_above, alert_below, alert_above: where a reading becomes urgent.
    """

    kind: str
    unit: str
    every_s: float
    step: float
    noise: float = 0.0
    noise_root: float = 0.0
    bias: float = 0.0
    drift: float = 0.0
    lowest: float | None = None
    highest: float | None = None
    places: tuple[int, ...] = ()
    warn_below: float | None = None
    warn_above: float | None = None
    alert_below: float | None = None
    alert_above: float | None = None


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Devices that report to one table.

    Attributes:
        table: the table's one name, e.g. `lunar_telemetry`.
        world: what they look at.
        device: their name up to the number, e.g. `hab-sensor`.
        count: how many there are; numbered from 001.
        channels: what they measure.
    """

    table: str
    world: Literal["habitat", "crew", "rover"]
    device: str
    count: int
    channels: tuple[ChannelSpec, ...]

    def device_name(self, place: int) -> str:
        """Name the device number `place` (from 1)."""
        return f"{self.device}-{place:03d}"


@dataclass(frozen=True, slots=True)
class ElementSpec:
    """One element of a mesh node.

    Attributes:
        sensors: kinds that its Sensor Server has; those with a device property.
        reports: kinds that our vendor model reports; `position` is latitude and longitude.
        onoff: what its Generic OnOff Server switches; empty: it has none.
        level: what its Generic Level Server sets; empty: it has none.
    """

    sensors: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    onoff: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class NodeKind:
    """Mesh nodes that are alike.

    Attributes:
        device: their name up to the number.
        share: of all nodes of the site.
        elements: what they are made of.
        table: the source whose world they look at; nodes beyond its devices share their places.
        relay: they can relay.
        mtu: the largest ATT_MTU that they agree to, 23 to 517.
    """

    device: str
    share: float
    elements: tuple[ElementSpec, ...]
    table: str = ""
    relay: bool = True
    mtu: int = 247


@dataclass(frozen=True, slots=True)
class AirSpec:
    """The site's Bluetooth Mesh.

    Attributes:
        nodes: how many, if nothing else is asked for.
        radius_m: of the disc that so many stand on; the gateway is in the middle. Of fewer
            or more the area goes with the root of their number.
        radio: of all nodes, and the ground.
        kinds: which nodes.
    """

    nodes: int
    radius_m: float
    kinds: tuple[NodeKind, ...]
    radio: RadioSpec = field(default_factory=RadioSpec)


@dataclass(frozen=True, slots=True)
class SiteDefinition:
    """A whole site.

    Attributes:
        name: as in `dunes sim up --site NAME`.
        title: one line for people.
        sources: sensors by table; the first table is the site's main one.
        seed: of all dice.
        link: the way to the ground.
        router_ip: the virtual router's address, as people type it.
        dish_ip: the virtual dish's address.
        destination: the ground station's name.
        cut_cause: what the dish says when the sky is cut.
        storm: what happens on the site while `dunes simulate-disconnect` cuts the sky.
        crew: people in the habitat.
        volume_m3: of the habitat.
        latitude_deg, longitude_deg: where rovers start.
        air: its mesh; null: it has none.
    """

    name: str
    title: str
    sources: tuple[SourceSpec, ...]
    seed: int = 1
    link: LinkSpec = field(default_factory=LinkSpec)
    router_ip: str = "192.168.1.1"
    dish_ip: str = "192.168.100.1"
    destination: str = "earth-gs"
    cut_cause: CutCause = "NO_SATS"
    storm: EventKind = "none"
    crew: int = 4
    volume_m3: float = 120.0
    latitude_deg: float = 0.0
    longitude_deg: float = 0.0
    air: AirSpec | None = None


def site_names() -> list[str]:
    """List the sites that can be started."""
    folder = files("dunes.sim") / "sites"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def load_definition(name: str) -> SiteDefinition:
    """Read the definition of a site.

    Raises:
        NotFound: there is none of that name.
        DataError: it is not what a definition has to be.
    """
    known = site_names()
    if name not in known:
        near = get_close_matches(name, known, n=1) or known
        raise NotFound(
            f"no simulated site {name[:80]!r}; there is {', '.join(known)}",
            hint=f"dunes sim up --site {near[0]}",
            code="unknown-site",
        )
    text = (files("dunes.sim") / "sites" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_definition(text, f"site {name}")


def parse_definition(text: str, what: str) -> SiteDefinition:
    """Read a definition from its TOML text.

    Raises:
        DataError: not TOML, an unknown key or a value of the wrong kind.
    """
    import msgspec

    try:
        return msgspec.convert(tomllib.loads(text), SiteDefinition, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as e:
        raise DataError(f"{what}: {e}", hint="see dunes/sim/sites/lunar.toml") from e
