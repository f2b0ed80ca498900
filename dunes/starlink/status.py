"""What a dish or router says of itself, as plain values.

Fields that the firmware, or the descriptor set in use, does not have are None,
empty or false; enum values that are newer than we are kept as their numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from google.protobuf.unknown_fields import UnknownFieldSet

from dunes.clock import US_PER_S, rfc3339
from dunes.starlink.descriptors import enum_name, kind_of, read
from dunes.starlink.errors import Reason, failure, peer_text
from dunes.starlink.gpstime import NS_PER_S
from dunes.starlink.history import (
    outage_of,
    recent,
    ring_of_dish,
    ring_of_router,
    spot_ring,
    summary,
)
from dunes.starlink.monitor import WINDOW_SAMPLES, Observation

DISH = "dish"
ROUTER = "router"

ANSWERS = {
    "dish_get_status": DISH,
    "dish_get_diagnostics": DISH,
    "dish_get_history": DISH,
    "wifi_get_status": ROUTER,
    "wifi_get_diagnostics": ROUTER,
    "wifi_get_history": ROUTER,
}
"""The answer, not the address, tells a dish from a router."""

IMPAIRMENTS = (
    "thermal_throttle",
    "power_supply_thermal_throttle",
    "slow_ethernet_speeds",
    "slow_ethernet_speeds_100",
    "lower_signal_than_predicted",
)
"""Alerts that make an up link worse than it should be."""

IN_SERVICE = frozenset({"UNKNOWN_STATE", "UNKNOWN", "OKAY", ""})
NO_LIMIT = frozenset({"UNKNOWN", "NO_LIMIT", ""})
OUTAGES_SHOWN = 5
CLOCK_SANE_S = 1_577_836_800
"""2020-01-01: a device whose clock shows less has not set it yet."""


@dataclass(frozen=True, slots=True)
class PastOutage:
    """An outage that the device remembers.

    Attributes:
        cause: its name, or a number that newer firmware has.
        start: by the device's clock, RFC 3339.
        duration_s: how long it lasted, or has lasted so far.
    """

    cause: str
    start: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A dish or router at one moment.

    Attributes:
        role: `dish` or `router`.
        device_id: `ut…` or `Router-…`.
        hardware: model.
        software: firmware version.
        api_version: number of the device API; 0 where not told.
        uptime_s: since its boot.
        bootcount: times it has booted.
        latency_ms: median of the last minute, to the point of presence.
        drop_rate: mean of the last minute, 0 to 1.
        downlink_bps: traffic now, not what the link could carry.
        uplink_bps: likewise.
        power_w: power drawn.
        obstructed_fraction: of the sky, 0 to 1.
        obstructed_now: something is in the way.
        alerts: active ones, by the device's names.
        outage: the cause of the present outage; empty if there is none.
        outages: the newest that it remembers.
        disablement: why the account or cell has no service; empty if it has.
        limits: why bandwidth is restricted; empty if it is not.
        software_update: state of the update.
        reboot_expected: it is about to restart by itself.
        gps_valid: it knows its place.
        gps_sats: satellites it hears for that.
        ethernet_mbps: speed of its cable.
        routers: id → role of the routers behind a dish.
        dish_id: the dish behind a router.
        cable_drop_rate: of a router: pings lost to the dish.
        sky_drop_rate: of a router: pings lost to the point of presence.
        internet_drop_rate: of a router: pings lost beyond.
        wan_address: of a router.
    """

    role: str
    device_id: str
    hardware: str = ""
    software: str = ""
    api_version: int = 0
    uptime_s: int = 0
    bootcount: int = 0
    latency_ms: float | None = None
    drop_rate: float | None = None
    downlink_bps: float | None = None
    uplink_bps: float | None = None
    power_w: float | None = None
    obstructed_fraction: float | None = None
    obstructed_now: bool = False
    alerts: tuple[str, ...] = ()
    outage: str = ""
    outages: tuple[PastOutage, ...] = ()
    disablement: str = ""
    limits: tuple[str, ...] = ()
    software_update: str = ""
    reboot_expected: bool = False
    gps_valid: bool = False
    gps_sats: int = 0
    ethernet_mbps: int = 0
    routers: Mapping[str, str] = field(default_factory=dict)
    dish_id: str = ""
    cable_drop_rate: float | None = None
    sky_drop_rate: float | None = None
    internet_drop_rate: float | None = None
    wan_address: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a device: for people, and for the monitor."""

    snapshot: Snapshot
    observation: Observation


def role_of(response: Any) -> str:
    """Say which device answered.

    Raises:
        BadAnswer: the answer is of a kind that our descriptors do not know.
    """
    kind = kind_of(response)
    if kind in ANSWERS:
        return ANSWERS[kind]
    told = kind or "an answer of a kind that is not in our descriptors"
    raise failure(Reason.PROTOCOL, f"the device answered with {told}")


def look_at(status: Any, history: Any | None, *, unix_s: float, has_history: bool = True) -> Look:
    """Read the answers to `get_status` (or `get_diagnostics`) and `get_history`.

    Args:
        status: a `Response`.
        history: a `Response`; None where there is none.
        unix_s: our wall clock.
        has_history: False if the device has no history to give, ever: then single
            readings stand in for it.

    Raises:
        BadAnswer: an answer of a kind that our descriptors do not know.
    """
    role_of(status)
    kind = kind_of(status)
    body = getattr(status, kind)
    memory = getattr(history, kind_of(history)) if history is not None else None
    if kind == "dish_get_status":
        return _look_at_dish(status, body, memory, unix_s, has_history=has_history)
    if kind == "wifi_get_status":
        return _look_at_router(status, body, memory, unix_s)
    return _look_at_diagnostics(status, body, unix_s)


def _look_at_dish(
    response: Any, status: Any, memory: Any | None, unix_s: float, *, has_history: bool
) -> Look:
    outage = None
    if status.HasField("outage"):
        outage = outage_of(status.outage, enum_name(status.outage, "cause"))
    remembered = [outage_of(o, enum_name(o, "cause")) for o in read(memory, "outages", ())]
    ring = ring_of_dish(memory) if memory is not None else None
    if ring is None and not has_history:
        ring = spot_ring(status.device_state.uptime_s, 1.0 if outage else 0.0)
    alerts = active_alerts(status.alerts)
    limits = tuple(
        f"{way}: {name}"
        for way, name in (
            ("downlink", enum_name(status, "dl_bandwidth_restricted_reason")),
            ("uplink", enum_name(status, "ul_bandwidth_restricted_reason")),
        )
        if name not in NO_LIMIT
    )
    disablement = enum_name(status, "disablement_code")
    window = summary(ring.last(WINDOW_SAMPLES)) if ring is not None else None
    obstruction = read(status, "obstruction_stats", None)
    updates = read(status, "software_update_stats", None)
    info = status.device_info
    snapshot = Snapshot(
        DISH,
        peer_text(info.id, 80),
        **_identity(response, info),
        uptime_s=status.device_state.uptime_s,
        bootcount=read(info, "bootcount", 0),
        latency_ms=_number(window.median_latency_ms if window else status.pop_ping_latency_ms),
        drop_rate=_number(window.mean_drop if window else None),
        downlink_bps=_number(status.downlink_throughput_bps),
        uplink_bps=_number(status.uplink_throughput_bps),
        power_w=_number(ring.newest(list(read(memory, "power_in", ()))) if ring else None),
        obstructed_fraction=_number(read(obstruction, "fraction_obstructed", None)),
        obstructed_now=bool(read(obstruction, "currently_obstructed", False)),
        alerts=alerts,
        outage=outage.cause if outage else "",
        outages=tuple(
            PastOutage(o.cause, rfc3339_s(o.start_unix_s), o.duration_s)
            for o in recent(remembered, OUTAGES_SHOWN)
        ),
        disablement="" if disablement in IN_SERVICE else disablement,
        limits=limits,
        software_update=enum_name(status, "software_update_state"),
        reboot_expected=(
            "install_pending" in alerts
            or "REBOOT_REQUIRED"
            in (enum_name(status, "software_update_state"), _update_state(updates))
            or bool(read(updates, "reboot_scheduled_utc_time", 0))
        ),
        gps_valid=bool(read(read(status, "gps_stats", None), "gps_valid", False)),
        gps_sats=int(read(read(status, "gps_stats", None), "gps_sats", 0)),
        ethernet_mbps=int(read(status, "eth_speed_mbps", 0)),
        routers={
            peer_text(name, 80): enum_name(router, "role")
            for name, router in sorted(dict(read(status, "downstream_routers", {})).items())
        },
    )
    impaired = [a for a in alerts if a in IMPAIRMENTS]
    if read(status, "is_snr_persistently_low", False):
        impaired.append("snr_persistently_low")
    observation = Observation(
        snapshot.device_id,
        _device_clock(memory, unix_s),
        ring,
        outage,
        tuple(remembered),
        snapshot.bootcount,
        snapshot.disablement,
        (*impaired, *(f"limited {limit}" for limit in limits)),
        "is_power_save_idle" in alerts,
    )
    return Look(snapshot, observation)


def _look_at_router(response: Any, status: Any, memory: Any | None, unix_s: float) -> Look:
    uptime_s = status.device_state.uptime_s
    ring = ring_of_router(memory) if memory is not None else None
    if ring is None or not any(ring.latency_ms):
        # much firmware declares the series and never fills it
        ring = spot_ring(uptime_s, status.pop_ping_drop_rate, status.pop_ping_latency_ms)
    window = summary(ring.last(WINDOW_SAMPLES)) if ring is not None else None
    disablement = enum_name(status, "dish_disablement_code")
    snapshot = Snapshot(
        ROUTER,
        peer_text(status.device_info.id, 80),
        **_identity(response, status.device_info),
        uptime_s=uptime_s,
        bootcount=read(status.device_info, "bootcount", 0),
        latency_ms=_number(window.median_latency_ms if window else None),
        drop_rate=_number(window.mean_drop if window else None),
        disablement="" if disablement in IN_SERVICE else disablement,
        dish_id=peer_text(read(status, "dish_id", ""), 80),
        cable_drop_rate=_number(status.dish_ping_drop_rate),
        sky_drop_rate=_number(status.pop_ping_drop_rate),
        internet_drop_rate=_number(status.ping_drop_rate),
        wan_address=peer_text(read(status, "ipv4_wan_address", ""), 80),
        alerts=("no_wan_link",) if read(status, "no_wan_link", False) else (),
    )
    observation = Observation(
        snapshot.device_id,
        _device_clock(memory, unix_s),
        ring,
        bootcount=snapshot.bootcount,
        disabled=snapshot.disablement,
    )
    return Look(snapshot, observation)


def _look_at_diagnostics(response: Any, answer: Any, unix_s: float) -> Look:
    """Read the one answer that SpaceX documents: identity and alerts, nothing of the link."""
    disablement = enum_name(answer, "disablement_code")
    alerts = read(answer, "alerts", None)
    snapshot = Snapshot(
        role_of(response),
        peer_text(answer.id, 80),
        **_identity(response, answer),
        alerts=active_alerts(alerts) if alerts is not None else (),
        disablement="" if disablement in IN_SERVICE else disablement,
    )
    return Look(
        snapshot,
        Observation(snapshot.device_id, unix_s, None, disabled=snapshot.disablement),
    )


def active_alerts(alerts: Any) -> tuple[str, ...]:
    """Name the alerts that are on; those that newer firmware has as `alert-<number>`."""
    known = [descriptor.name for descriptor, value in alerts.ListFields() if value is True]
    unknown: Any = UnknownFieldSet(alerts)
    newer = [f"alert-{field.field_number}" for field in unknown if field.data == 1]
    return (*known, *newer)


def _identity(response: Any, info: Any) -> dict[str, Any]:
    return {
        "hardware": peer_text(info.hardware_version, 80),
        "software": peer_text(info.software_version, 80),
        "api_version": response.api_version,
    }


def _update_state(updates: Any | None) -> str:
    return enum_name(updates, "software_update_state") if updates is not None else ""


def _device_clock(memory: Any | None, unix_s: float) -> float:
    """Take the device's own clock where it tells it: it has GPS, a gateway may not."""
    log = read(memory, "event_log", None)
    told_s = read(log, "current_timestamp_ns", 0) / NS_PER_S
    return told_s if told_s > CLOCK_SANE_S else unix_s


def rfc3339_s(unix_s: float) -> str:
    """Write Unix seconds as RFC 3339, to the second; empty for a moment no calendar has."""
    try:
        return rfc3339(round(unix_s) * US_PER_S)
    except (ValueError, OverflowError, OSError):
        return ""


def _number(value: float | None) -> float | None:
    """Give a measured number with the 6 digits that a 32-bit float has; None for NaN."""
    return float(f"{value:.6g}") if value is not None and isfinite(value) else None
