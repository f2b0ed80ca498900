"""The virtual dish and router: requests in, answers out; no socket, no thread.

Answers follow published observations of real devices: what is locked, what is not
implemented, in which answer the outages are and in which clock they are dated. Ids,
models and versions say that all this is simulated.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, floor, isinf
from typing import Any

from google.protobuf.message import DecodeError

from dunes.sim.starlink_sky import Planned, Second, VirtualSky, noise
from dunes.starlink.descriptors import DeviceApi
from dunes.starlink.gpstime import NS_PER_S, gps_ns_from_unix
from dunes.starlink.grpcweb import INTERNAL, PERMISSION_DENIED, UNAVAILABLE, UNIMPLEMENTED

RING_SLOTS = 900
API_VERSION = 42
SOFTWARE = "2026.06.12-simulated"
REBOOT_S = 25.0
"""How long it does not answer after a reboot."""
BOOTING_S = 20
"""How long after that it still looks for satellites."""
WARM_S = 3600
"""How long it has been running when the site starts, so that its ring is full."""
MAP_SIDE = 123

LOCKED = frozenset(
    {
        "reboot", "dish_stow", "dish_set_config", "dish_power_save", "dish_inhibit_gps",
        "dish_clear_obstruction_map", "wifi_set_config", "dish_get_context",
    }
)  # fmt: skip
"""What 2026 firmware refuses on the local network, with an empty message."""
NO_LOCATION = "GetLocation requests are not enabled on this device."


class Refusal(Exception):
    """A gRPC status instead of an answer.

    Args:
        status: the code.
        text: its message; real firmware often leaves it empty.
    """

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Condition:
    """All that can change about the devices.

    Attributes:
        sky: what is above.
        boot_s: Unix second of the last boot; a later one than now means "still rebooting".
        bootcount: times booted.
        unlocked: writes and location are allowed, as on old firmware.
        bypassed: the router is in bypass mode, and silent.
        alerts: names of `DishAlerts` that are on.
        disablement: a name of `UtDisablementCode`.
    """

    sky: VirtualSky
    boot_s: int
    bootcount: int = 7
    unlocked: bool = False
    bypassed: bool = False
    alerts: tuple[str, ...] = ()
    disablement: str = "OKAY"


class World:
    """The condition that dish and router share, and the site's time.

    Conditions are replaced as a whole, so that reading one needs no lock.

    Args:
        now_s: the site's clock, Unix seconds.
        condition: how it begins.
    """

    def __init__(self, now_s: Callable[[], float], condition: Condition) -> None:
        self.now_s = now_s
        self.condition = condition
        self._lock = threading.Lock()

    def change(self, how: Callable[[Condition], Condition]) -> None:
        """Put another condition in place of the present one."""
        with self._lock:
            self.condition = how(self.condition)

    def reboot(self) -> None:
        """Restart the devices: silent for a while, counters from zero, then no satellites yet."""
        now_s = self.now_s()
        boot_s = ceil(now_s + REBOOT_S)
        booting = Planned(now_s, boot_s + BOOTING_S - now_s, "BOOTING")
        self.change(
            lambda c: replace(
                c, sky=c.sky.with_outage(booting), boot_s=boot_s, bootcount=c.bootcount + 1
            )
        )


class VirtualDevice:
    """What dish and router have in common."""

    identity = ("", "")

    def __init__(self, api: DeviceApi, world: World) -> None:
        self._request = api.message("Request")
        self._response = api.message("Response")
        self.world = world

    def busy(self) -> bool:
        """Say whether it is rebooting and does not answer."""
        return self.world.now_s() < self.world.condition.boot_s

    def handle(self, raw: bytes) -> bytes:
        """Answer a serialised `Request` with a serialised `Response`.

        Raises:
            Refusal: a status instead.
        """
        if self.busy():
            raise Refusal(UNAVAILABLE, "starting")
        request: Any
        try:
            request = self._request.FromString(raw)
        except DecodeError as e:
            raise Refusal(INTERNAL, "the request is no Request message") from e
        response = self.answer(request)
        encoded: bytes = response.SerializeToString()
        return encoded

    def answer(self, request: Any) -> Any:
        """Answer a `Request` with a `Response`."""
        asked = request.WhichOneof("request")
        condition = self.world.condition
        if asked in LOCKED and not condition.unlocked:
            raise Refusal(PERMISSION_DENIED)
        act = getattr(self, f"_{asked}", None) if asked else None
        if act is None:
            raise Refusal(UNIMPLEMENTED, f"unimplemented: {asked or 'empty request'}")
        response: Any = self._response()
        response.id = request.id
        response.api_version = API_VERSION
        act(request, response, condition)
        return response

    def _fill_info(self, info: Any, condition: Condition) -> None:
        info.id, info.hardware_version = self.identity
        info.software_version = SOFTWARE
        info.country_code = "XZ"
        info.bootcount = condition.bootcount
        info.generation_number = floor(condition.boot_s)
        info.build_id = "simulated"

    def _uptime_s(self, condition: Condition) -> int:
        return max(0, floor(self.world.now_s()) - condition.boot_s)

    def _get_device_info(self, _request: Any, response: Any, condition: Condition) -> None:
        self._fill_info(response.get_device_info.device_info, condition)

    def _reboot(self, _request: Any, response: Any, _condition: Condition) -> None:
        response.reboot.SetInParent()
        self.world.reboot()


class VirtualDish(VirtualDevice):
    """A user terminal."""

    identity = ("utSIMULATED-00000001", "simulated_dish")
    router_id = "Router-SIMULATED-00000001"

    def __init__(self, api: DeviceApi, world: World) -> None:
        super().__init__(api, world)
        self._measured: tuple[VirtualSky, dict[int, Second]] = (world.condition.sky, {})

    def _get_status(self, _request: Any, response: Any, condition: Condition) -> None:
        now_s = self.world.now_s()
        status = response.dish_get_status
        self._fill_info(status.device_info, condition)
        status.device_state.uptime_s = self._uptime_s(condition)
        second = condition.sky.second(floor(now_s) - 1)
        status.pop_ping_latency_ms = second.latency_ms
        status.downlink_throughput_bps = second.down_bps
        status.uplink_throughput_bps = second.up_bps
        # pop_ping_drop_rate is declared and never filled: only history tells of loss
        status.boresight_azimuth_deg, status.boresight_elevation_deg = 12.0, 68.0
        status.eth_speed_mbps = 1000
        status.is_snr_above_noise_floor = condition.sky.outage_at(now_s) is None
        status.class_of_service = self._number(status, "class_of_service", "BUSINESS")
        status.software_update_state = 1
        status.disablement_code = self._number(status, "disablement_code", condition.disablement)
        status.gps_stats.gps_valid, status.gps_stats.gps_sats = True, 14
        obstruction = status.obstruction_stats
        obstruction.fraction_obstructed, obstruction.valid_s = 0.0012, 86_400.0
        outage = condition.sky.outage_at(now_s)
        if outage is not None:
            self._fill_outage(status.outage, outage, now_s)
            obstruction.currently_obstructed = outage.cause == "OBSTRUCTED"
        status.stow_requested = outage is not None and outage.cause == "STOWED"
        for name in condition.alerts:
            setattr(status.alerts, name, True)
        status.connected_routers.append(self.router_id)
        role = "BYPASSED" if condition.bypassed else "CONTROLLER"
        router = status.downstream_routers[self.router_id]
        router.role = self._number(router, "role", role)
        router.last_seen = round(now_s * NS_PER_S)

    def _get_history(self, _request: Any, response: Any, condition: Condition) -> None:
        now_s = self.world.now_s()
        history = response.dish_get_history
        current = self._uptime_s(condition)
        history.current = current
        slots: list[tuple[float, ...]] = [(0.0,) * 5] * RING_SLOTS
        for k in range(max(0, current - RING_SLOTS), current):
            slots[k % RING_SLOTS] = self._second(condition.sky, condition.boot_s + k)
        series = (
            history.pop_ping_drop_rate,
            history.pop_ping_latency_ms,
            history.downlink_throughput_bps,
            history.uplink_throughput_bps,
            history.power_in,
        )
        for values, column in zip(series, zip(*slots, strict=True), strict=True):
            values.extend(column)
        log = history.event_log
        log.start_timestamp_ns = round((now_s - RING_SLOTS) * NS_PER_S)
        log.current_timestamp_ns = round(now_s * NS_PER_S)
        for outage in condition.sky.outages_between(now_s - RING_SLOTS, now_s):
            self._fill_outage(history.outages.add(), outage, now_s)
            event = log.events.add()
            event.severity = 1
            event.start_timestamp_ns = round(outage.start_s * NS_PER_S)  # Unix, unlike outages
            event.duration_ns = round(_lasted_s(outage, now_s) * NS_PER_S)

    def _get_diagnostics(self, _request: Any, response: Any, condition: Condition) -> None:
        answer = response.dish_get_diagnostics
        answer.id, answer.hardware_version = self.identity
        answer.software_version = SOFTWARE
        answer.hardware_self_test = 1
        answer.disablement_code = 1 if condition.disablement == "OKAY" else 2
        outage = condition.sky.outage_at(self.world.now_s())
        answer.alerts.obstructed = outage is not None and outage.cause == "OBSTRUCTED"
        answer.stowed = outage is not None and outage.cause == "STOWED"
        answer.location.enabled = condition.unlocked

    def _get_location(self, _request: Any, response: Any, condition: Condition) -> None:
        if not condition.unlocked:
            raise Refusal(PERMISSION_DENIED, NO_LOCATION)
        place = response.get_location
        place.lla.lat, place.lla.lon, place.lla.alt = -89.54, 0.0, 0.0
        place.source = 4

    def _dish_get_obstruction_map(
        self, _request: Any, response: Any, condition: Condition
    ) -> None:
        answer = response.dish_get_obstruction_map
        answer.num_rows = answer.num_cols = MAP_SIDE
        answer.min_elevation_deg, answer.max_theta_deg = 10.0, 80.0
        middle = MAP_SIDE // 2
        for row in range(MAP_SIDE):
            for column in range(MAP_SIDE):
                inside = (row - middle) ** 2 + (column - middle) ** 2 <= middle**2
                clear = noise(condition.sky.seed, row * MAP_SIDE + column, 7) > 0.005  # noqa: PLR2004
                answer.snr.append((1.0 if clear else 0.0) if inside else -1.0)

    def _dish_get_config(self, _request: Any, response: Any, condition: Condition) -> None:
        config = response.dish_get_config.dish_config
        config.location_request_mode = int(condition.unlocked)

    def _dish_stow(self, request: Any, response: Any, _condition: Condition) -> None:
        response.dish_stow.SetInParent()
        now_s = self.world.now_s()
        if request.dish_stow.unstow:
            self.world.change(lambda c: replace(c, sky=c.sky.restored(now_s, {"STOWED"})))
        else:
            stow = Planned(now_s, float("inf"), "STOWED")
            self.world.change(lambda c: replace(c, sky=c.sky.with_outage(stow)))

    def _second(self, sky: VirtualSky, number: int) -> Second:
        """Measure a second once: each answer holds 900 of them, of which one or two are new."""
        known_sky, seconds = self._measured
        if known_sky is not sky or len(seconds) > 2 * RING_SLOTS:
            seconds = {}
            self._measured = (sky, seconds)
        if number not in seconds:
            seconds[number] = sky.second(number)
        return seconds[number]

    def _fill_outage(self, message: Any, outage: Planned, now_s: float) -> None:
        message.cause = self._number(message, "cause", outage.cause)
        message.start_timestamp_ns = gps_ns_from_unix(outage.start_s)
        message.duration_ns = round(_lasted_s(outage, now_s) * NS_PER_S)

    def _number(self, message: Any, name: str, value: str) -> int:
        """Give the number of an enum value's name."""
        values = message.DESCRIPTOR.fields_by_name[name].enum_type.values_by_name
        return int(values[value].number)


class VirtualRouter(VirtualDevice):
    """A Starlink router behind the dish."""

    identity = (VirtualDish.router_id, "simulated_router")

    def _get_status(self, _request: Any, response: Any, condition: Condition) -> None:
        now_s = self.world.now_s()
        status = response.wifi_get_status
        self._fill_info(status.device_info, condition)
        status.device_state.uptime_s = self._uptime_s(condition)
        status.ipv4_wan_address = "100.64.0.2"
        status.dish_id = VirtualDish.identity[0]
        status.utc_ns = round(now_s * NS_PER_S)
        second = condition.sky.second(floor(now_s) - 1)
        status.dish_ping_latency_ms = 1.2
        status.pop_ping_drop_rate = status.ping_drop_rate = second.drop
        status.pop_ping_latency_ms = status.ping_latency_ms = second.latency_ms
        status.dish_disablement_code = 1 if condition.disablement == "OKAY" else 2

    def _get_history(self, _request: Any, response: Any, _condition: Condition) -> None:
        now_s = self.world.now_s()
        history = response.wifi_get_history
        # current firmware gives the event log only; the series are declared and empty
        history.event_log.current_timestamp_ns = round(now_s * NS_PER_S)
        history.event_log.start_timestamp_ns = round((now_s - RING_SLOTS) * NS_PER_S)

    def _get_diagnostics(self, _request: Any, response: Any, _condition: Condition) -> None:
        answer = response.wifi_get_diagnostics
        answer.id, answer.hardware_version = self.identity
        answer.software_version = SOFTWARE
        network = answer.networks.add()
        network.domain, network.ipv4 = "lan", "192.168.1.1"
        network.clients_ethernet = 1

    def _wifi_get_clients(self, _request: Any, response: Any, _condition: Condition) -> None:
        client = response.wifi_get_clients.clients.add()
        client.name, client.client_id = "gateway", 1
        client.mac_address = "xx:xx:xx:xx:xx:01"
        client.ip_address = "192.168.1.20"

    def _wifi_get_config(self, _request: Any, response: Any, _condition: Condition) -> None:
        response.wifi_get_config.SetInParent()

    def _wifi_get_ping_metrics(self, _request: Any, response: Any, condition: Condition) -> None:
        now = floor(self.world.now_s())
        internet = response.wifi_get_ping_metrics.internet
        seconds = [condition.sky.second(now - back) for back in range(1, 301)]
        heard = [s.latency_ms for s in seconds if s.drop < 1.0]
        internet.latency_mean_ms_5m = sum(heard) / len(heard) if heard else 0.0
        internet.drop_rate_5m = sum(s.drop for s in seconds) / len(seconds)
        internet.drop_rate = seconds[0].drop
        internet.latency_mean_ms = seconds[0].latency_ms


def _lasted_s(outage: Planned, now_s: float) -> float:
    """Say how long an outage has lasted by now."""
    until_s = now_s if isinf(outage.duration_s) else min(now_s, outage.end_s)
    return max(0.0, until_s - outage.start_s)
