"""Environments: what a site is like, as a file with a source for every constant."""

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

import msgspec

from torgo.errors import BadSite
from torgo.obstacles import Obstacle
from torgo.radio import Propagation, Radio

SCHEMA = "torgo.environment/1"
BODY_RADIUS_M = {"moon": 1_737_400.0, "mars": 3_389_500.0, "earth": 6_371_008.8, "none": 0.0}
"""Mean radii (IAU 2015); a site in free space has none."""
MOST_NODES = 32_767
"""Unicast addresses of a Bluetooth mesh network: 0x0001 to 0x7FFF (Mesh Protocol 1.1, 3.4.2)."""

Layout = Literal["even", "random"]


@dataclass(frozen=True, slots=True)
class Area:
    """Where nodes may stand: a disc around (0, 0).

    Attributes:
        radius_m: of the site.
        layout: `even` (spread by the planner) or `random` (where people happen to be).
        latitude_deg: of the centre, for maps.
        longitude_deg: of the centre, for maps.
    """

    radius_m: float
    layout: Layout = "even"
    latitude_deg: float = 0.0
    longitude_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of node.

    Attributes:
        name: also the prefix of its nodes' names.
        share: of all nodes but the gateways.
        antenna_height_m: above ground.
        relay: whether it may relay for others.
        low_power: sleeps and needs a friend.
        moves: a person or a vehicle.
        about: what it is.
    """

    name: str
    share: float
    antenna_height_m: float
    relay: bool = True
    low_power: bool = False
    moves: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class Gateways:
    """The nodes with a way out.

    Attributes:
        count: how many.
        antenna_height_m: above ground.
    """

    count: int
    antenna_height_m: float


@dataclass(frozen=True, slots=True)
class Dynamics:
    """What changes during a storm, a shift or a rescue.

    Attributes:
        obstacles: how many move about.
        obstacle_radius_m: of each.
        obstacle_loss_db: of each.
        obstacle_speed_m_s: of each.
        brown_out: share of the nodes without power at any time.
        brown_out_s: how long one lasts on average.
        power_drop_db: how much the transmit power of a weak node falls.
        weak: share of the nodes with weak power at any time.
    """

    obstacles: int = 0
    obstacle_radius_m: float = 30.0
    obstacle_loss_db: float = 20.0
    obstacle_speed_m_s: float = 1.0
    brown_out: float = 0.0
    brown_out_s: float = 1800.0
    power_drop_db: float = 0.0
    weak: float = 0.0


@dataclass(frozen=True, slots=True)
class Availability:
    """How often nodes are down for reasons of their own.

    Attributes:
        node_down: share of the time that a node is down.
        gateway_down: share of the time that a gateway is down.
    """

    node_down: float = 0.01
    gateway_down: float = 0.01


@dataclass(frozen=True, slots=True)
class Defaults:
    """What `torgo generate` uses where nothing is asked for.

    Attributes:
        nodes: gateways included.
        redundancy: relays that each node hears, and losses + 1 that part nobody.
        hops_max: the longest way that is accepted.
    """

    nodes: int
    redundancy: int = 3
    hops_max: int = 20


@dataclass(frozen=True, slots=True)
class Environment:
    """A kind of site.

    Attributes:
        name: how `--env` calls it.
        about: a sentence.
        body: moon, mars, earth or none.
        area: where nodes may stand.
        defaults: what is planned if nothing else is asked for.
        kinds: the node mix; shares add up to 1.
        gateways: the nodes with a way out.
        radio: of every node.
        propagation: how signals fade.
        obstacles: that stay where they are.
        dynamics: what changes.
        availability: how often nodes are down.
        sources: where the constants come from, by dotted key.
    """

    name: str
    about: str
    body: str
    area: Area
    defaults: Defaults
    kinds: tuple[Kind, ...]
    gateways: Gateways
    radio: Radio = field(default_factory=Radio)
    propagation: Propagation = field(default_factory=Propagation)
    obstacles: tuple[Obstacle, ...] = ()
    dynamics: Dynamics = field(default_factory=Dynamics)
    availability: Availability = field(default_factory=Availability)
    sources: dict[str, str] = field(default_factory=dict)


def parse_environment(text: str, where: str) -> Environment:
    """Read an environment file.

    Args:
        text: TOML, schema torgo.environment/1.
        where: its name, for messages.

    Raises:
        BadSite: no TOML, an unknown or missing key, a value out of range.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise BadSite(f"{where}: not TOML: {e}") from e
    schema = table.pop("schema", None)
    if schema != SCHEMA:
        raise BadSite(f"{where}: schema is {schema!r}, not {SCHEMA!r}")
    unknown = sorted(_unknown_keys(table, Environment))
    if unknown:
        raise BadSite(f"{where}: unknown key {unknown[0]!r}")
    try:
        env = msgspec.convert(table, Environment)
    except msgspec.ValidationError as e:
        raise BadSite(f"{where}: {e}") from e
    problem = next(problems(env), None)
    if problem:
        raise BadSite(f"{where}: {problem}")
    return env


def _unknown_keys(table: dict[str, Any], kind: Any) -> Iterator[str]:
    """Find keys that no field takes: a typo must not silently leave a default in force."""
    known = {f.name: f.type for f in fields(kind)}
    nested = {
        "area": Area,
        "defaults": Defaults,
        "kinds": Kind,
        "gateways": Gateways,
        "radio": Radio,
        "propagation": Propagation,
        "obstacles": Obstacle,
        "dynamics": Dynamics,
        "availability": Availability,
    }
    for key, value in table.items():
        if key not in known:
            yield key
        elif key in nested and kind is Environment:
            for row in value if isinstance(value, list) else [value]:
                if isinstance(row, dict):
                    yield from (f"{key}.{name}" for name in _unknown_keys(row, nested[key]))


def problems(env: Environment) -> Iterator[str]:
    """List what is out of range in an environment, in words."""
    for name, value in numbers(env):
        if not math.isfinite(value):
            yield f"{name} is {value}"
    if env.body not in BODY_RADIUS_M:
        yield f"body is {env.body!r}, not one of {', '.join(BODY_RADIUS_M)}"
    if not env.kinds:
        yield "kinds: a site needs at least one kind of node"
    elif abs(sum(kind.share for kind in env.kinds) - 1) > 0.001:  # noqa: PLR2004 - rounding
        yield f"kinds: shares add up to {sum(kind.share for kind in env.kinds):g}, not 1"
    if len({kind.name for kind in env.kinds} | {"gateway"}) <= len(env.kinds):
        yield "kinds: two have the same name, or one is called gateway"
    positive = {
        "area.radius_m": env.area.radius_m,
        "radio.frequency_hz": env.radio.frequency_hz,
        "propagation.permittivity": env.propagation.permittivity,
        "propagation.exponent": env.propagation.exponent,
        "gateways.antenna_height_m": env.gateways.antenna_height_m,
        "dynamics.brown_out_s": env.dynamics.brown_out_s,
        "defaults.redundancy": env.defaults.redundancy,
        "defaults.hops_max": env.defaults.hops_max,
        "gateways.count": env.gateways.count,
        **{f"kinds.{kind.name}.antenna_height_m": kind.antenna_height_m for kind in env.kinds},
    }
    yield from (
        f"{name} is {value:g}, not above 0" for name, value in positive.items() if value <= 0
    )
    shares = {
        "dynamics.brown_out": env.dynamics.brown_out,
        "dynamics.weak": env.dynamics.weak,
        "availability.node_down": env.availability.node_down,
        "availability.gateway_down": env.availability.gateway_down,
        **{f"kinds.{kind.name}.share": kind.share for kind in env.kinds},
    }
    yield from (
        f"{name} is {value:g}, not between 0 and 1"
        for name, value in shares.items()
        if not 0 <= value <= 1
    )


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Walk all numbers of an environment with their dotted names."""
    if is_dataclass(value):
        for f in fields(value):
            yield from numbers(getattr(value, f.name), f"{path}.{f.name}" if path else f.name)
    elif isinstance(value, tuple):
        for item in value:
            yield from numbers(item, f"{path}.{getattr(item, 'name', '')}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def with_range(env: Environment, radius_m: float) -> Environment:
    """Give the site another radius; obstacles stay where they are relative to its size."""
    factor = radius_m / env.area.radius_m
    moved = tuple(
        replace(
            obstacle,
            x_m=obstacle.x_m * factor,
            y_m=obstacle.y_m * factor,
            to_x_m=None if obstacle.to_x_m is None else obstacle.to_x_m * factor,
            to_y_m=None if obstacle.to_y_m is None else obstacle.to_y_m * factor,
        )
        for obstacle in env.obstacles
    )
    return replace(env, area=replace(env.area, radius_m=radius_m), obstacles=moved)


def with_height(env: Environment, height_m: float) -> Environment:
    """Put every mast that may relay, and the gateways, at one height."""
    kinds = tuple(
        replace(kind, antenna_height_m=height_m) if kind.relay else kind for kind in env.kinds
    )
    return replace(env, kinds=kinds, gateways=replace(env.gateways, antenna_height_m=height_m))
