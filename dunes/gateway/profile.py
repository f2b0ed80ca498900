"""A mesh's declarative profile: what its nodes become, read from TOML. Pure but for the file.

profile = load_profile(text or None).of("low", period_s=None)
profile.plan(app_keys, ttl=9, relay=True) -> dunes.mesh.procedure.Plan
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from dunes.errors import DataError, DunesError, LocalError, UsageError
from dunes.mesh.address import is_group
from dunes.mesh.models.config import period_octet, read_period_octet, transmit_octet
from dunes.mesh.procedure import Plan, Publish
from dunes.mesh.wire import ModelId
from dunes.units import DURATION_S, parse_quantity

SCHEMA = "dunes.mesh-profile/1"
APP_INDEX = 0
SIG_DIGITS, VENDOR_DIGITS = 4, 8
HEALTH = ModelId(0x0002)
RELAYS = ("all", "thin", "none")


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What is done with a model.

    Attributes:
        model: which.
        publish: group name; empty: nowhere.
        subscribe: group names.
        event: it publishes by itself, without a period.
    """

    model: ModelId
    publish: str = ""
    subscribe: tuple[str, ...] = ()
    event: bool = False


@dataclass(frozen=True, slots=True)
class Power:
    """A power mode: how often nodes speak, how often they repeat, who relays.

    Attributes:
        publish_period_s: of telemetry; 0: only when asked.
        health_period_s: of health messages.
        transmissions: how often a node sends a message of its own, 1 to 8.
        transmit_interval_s: between two of them.
        relay: `all` that can, `none`, or `thin`.
        relay_neighbours: with `thin`: relays that a node shall have in earshot.
        relay_transmissions: how often a relay sends a message of another.
        relay_interval_s: between two of them.
        gatt_proxy: phones and gateways may connect to it.
        friend: it keeps messages for low-power nodes.
        beacon: it tells IV index and key refresh.
    """

    publish_period_s: float
    health_period_s: float
    transmissions: int
    transmit_interval_s: float
    relay: str
    relay_neighbours: int
    relay_transmissions: int
    relay_interval_s: float
    gatt_proxy: bool
    friend: bool
    beacon: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """A whole profile.

    Attributes:
        groups: addresses by name.
        models: what is done with each model.
        power: modes by name.
    """

    groups: Mapping[str, int]
    models: tuple[ModelUse, ...]
    power: Mapping[str, Power]

    def mode(self, name: str, *, period_s: float | None = None) -> Power:
        """Give a power mode, with another period if one is given.

        Raises:
            UsageError: there is none of that name, or a period that cannot be said.
        """
        if name not in self.power:
            raise UsageError(f"no power mode {name!r}", hint="|".join(self.power))
        power = self.power[name]
        if period_s is None:
            return power
        try:
            return replace(power, publish_period_s=read_period_octet(period_octet(period_s)))
        except LocalError as error:
            raise UsageError(error.message, hint="--period 60s") from error

    def plan(self, power: Power, app_key: bytes, *, ttl: int | None, relays: bool) -> Plan:
        """Say what a node shall become.

        Args:
            power: its mode.
            app_key: key of the models.
            ttl: default TTL; None: as the node has it.
            relays: whether it relays.
        """
        retransmit = transmit_octet(power.relay_transmissions, power.relay_interval_s)
        return Plan(
            app_keys=((APP_INDEX, app_key),),
            binds={use.model: (APP_INDEX,) for use in self.models},
            subscriptions={
                use.model: tuple(self.groups[name] for name in use.subscribe)
                for use in self.models
                if use.subscribe
            },
            publications={
                use.model: Publish(self.groups[use.publish], APP_INDEX, period=_period(use, power))
                for use in self.models
                if use.publish
            },
            default_ttl=ttl,
            relay=(int(relays), retransmit),
            network_transmit=transmit_octet(power.transmissions, power.transmit_interval_s),
            gatt_proxy=int(power.gatt_proxy),
            friend=int(power.friend and relays),
            beacon=int(power.beacon),
        )


def _period(use: ModelUse, power: Power) -> int:
    if use.event:
        return 0
    return period_octet(power.health_period_s if use.model == HEALTH else power.publish_period_s)


def load_profile(text: str | None = None, *, where: str = "profile") -> Profile:
    """Read a profile; what it leaves out is as in ours.

    Args:
        text: TOML; None: ours.
        where: for messages.

    Raises:
        DataError: it cannot be read; says where.
    """
    ours = _parse(resources.files("dunes.gateway").joinpath("profile.toml").read_text("utf-8"))
    if text is None:
        return _profile(ours, where)
    theirs = _parse(text, where)
    unknown = set(theirs) - {"schema", "groups", "models", "power"}
    if unknown or theirs.get("schema", SCHEMA) != SCHEMA:
        wrong = f"unknown {min(unknown)!r}" if unknown else f"schema is not {SCHEMA}"
        raise DataError(f"{where}: {wrong}", hint="see docs/guide-mesh.md for its form")
    merged = ours | {key: theirs[key] for key in ("models",) if key in theirs}
    merged["groups"] = ours["groups"] | _table(theirs, "groups", where)
    power: dict[str, dict[str, Any]] = dict(ours["power"])
    for name, mode in _table(theirs, "power", where).items():
        power[name] = power.get(name, power["medium"]) | _table({name: mode}, name, where)
    merged["power"] = power
    return _profile(merged, where)


def _parse(text: str, where: str = "profile") -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{where}: {error}", hint="it is TOML, see docs/guide-mesh.md") from error


def _table(data: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    found = data.get(name, {})
    if not isinstance(found, dict):
        raise DataError(f"{where}: {name} is not a table", hint="see docs/guide-mesh.md")
    return found


def _profile(data: Mapping[str, Any], where: str) -> Profile:
    try:
        groups = dict(data["groups"])
        for name, address in groups.items():
            if not isinstance(address, int) or not is_group(address):
                raise DataError(f"{where}: group {name} is not 0xC000 to 0xFEFF: {address!r}")
        models = tuple(_model(each, groups, where) for each in data["models"])
        power = {
            name: _power(mode, f"{where}: power.{name}") for name, mode in data["power"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where}: {error!r}", hint="see docs/guide-mesh.md") from error
    return Profile(groups, models, power)


def _model(data: Mapping[str, Any], groups: Mapping[str, int], where: str) -> ModelUse:
    unknown = set(data) - {"id", "publish", "subscribe", "event"}
    use = ModelUse(
        model_id(data["id"], where),
        data.get("publish", ""),
        tuple(data.get("subscribe", ())),
        bool(data.get("event", False)),
    )
    missing = [n for n in (use.publish, *use.subscribe) if n and n not in groups]
    if unknown or missing:
        wrong = f"unknown {min(unknown)!r}" if unknown else f"no group {missing[0]!r}"
        raise DataError(f"{where}: model {data['id']}: {wrong}")
    return use


def model_id(text: str, where: str = "model") -> ModelId:
    """Read a model's number: `1100`, or company and model `FFFF0001`.

    Raises:
        DataError: it is neither.
    """
    try:
        number = int(text, 16)
    except ValueError:
        number = -1
    if number < 0 or len(text) not in {SIG_DIGITS, VENDOR_DIGITS}:
        raise DataError(f"{where}: {text!r} is no model: write 1100, or FFFF0001")
    if len(text) == SIG_DIGITS:
        return ModelId(number)
    return ModelId(number & 0xFFFF, number >> 16)


def _power(data: Mapping[str, Any], where: str) -> Power:
    try:
        power = Power(**dict(_value(key, value) for key, value in data.items()))
        if power.relay not in RELAYS:
            raise DataError(f"{where}: relay is {power.relay!r}, not one of {', '.join(RELAYS)}")
        # what cannot be put into an octet is said now
        period_octet(power.publish_period_s)
        period_octet(power.health_period_s)
        transmit_octet(power.transmissions, power.transmit_interval_s)
        transmit_octet(power.relay_transmissions, power.relay_interval_s)
    except (TypeError, DunesError) as error:
        if isinstance(error, DataError):
            raise
        message = error.message if isinstance(error, DunesError) else str(error)
        raise DataError(f"{where}: {message}", hint="see docs/guide-mesh.md") from error
    return power


def _value(key: str, value: Any) -> tuple[str, Any]:
    """Read one value; durations become seconds."""
    if key.endswith(("_period", "_interval")):
        return f"{key}_s", parse_quantity(str(value), DURATION_S, key)
    return key, value
