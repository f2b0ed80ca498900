"""The virtual dish and router, without a socket."""

from collections.abc import Callable

import pytest

from dunes.sim.starlink_device import (
    REBOOT_S,
    WARM_S,
    Condition,
    Refusal,
    VirtualDish,
    VirtualRouter,
    World,
)
from dunes.sim.starlink_sky import VirtualSky, planned
from dunes.starlink.descriptors import device_api
from dunes.starlink.gpstime import unix_from_gps_ns
from dunes.starlink.grpcweb import INTERNAL, PERMISSION_DENIED, UNAVAILABLE, UNIMPLEMENTED

T0 = 1_800_000_000
API = device_api({})


class Bench:
    """Both devices under a clock that the test moves."""

    def __init__(self, schedule=(), **condition) -> None:
        self.now_s = float(T0)
        sky = VirtualSky(planned(schedule, T0), handover_share=0.0)
        self.world = World(lambda: self.now_s, Condition(sky, T0 - WARM_S, **condition))
        self.dish = VirtualDish(API, self.world)
        self.router = VirtualRouter(API, self.world)

    def ask(self, request: str, device=None, **fields):
        made = API.request(request)
        for name, value in fields.items():
            setattr(getattr(made, request), name, value)
        return API.response((device or self.dish).handle(made.SerializeToString()))


def refused(bench: Bench, request: str, device=None) -> int:
    with pytest.raises(Refusal) as caught:
        bench.ask(request, device)
    return caught.value.status


@pytest.fixture
def bench() -> Callable[..., Bench]:
    return Bench


def test_ids_models_and_versions_say_simulated(bench):
    made = bench()
    for info in (
        made.ask("get_status").dish_get_status.device_info,
        made.ask("get_status", made.router).wifi_get_status.device_info,
        made.ask("get_device_info").get_device_info.device_info,
    ):
        assert all(
            "simulated" in text.lower()
            for text in (info.id, info.hardware_version, info.software_version)
        )


def test_the_ring_holds_900_samples_each_in_its_slot(bench):
    made = bench()
    made.now_s += 7.5
    history = made.ask("get_history").dish_get_history
    assert (WARM_S + 7, 900) == (history.current, len(history.pop_ping_drop_rate))
    newest = (history.current - 1) % 900
    expected = made.world.condition.sky.second(T0 + 6)
    assert history.pop_ping_latency_ms[newest] == pytest.approx(expected.latency_ms)


def test_an_outage_is_in_the_status_only_while_it_lasts(bench):
    made = bench([[10, 5, "OBSTRUCTED"]])
    present = []
    for at in (9, 10, 14.9, 15):
        made.now_s = T0 + at
        present.append(made.ask("get_status").dish_get_status.HasField("outage"))
    assert [False, True, True, False] == present


def test_outages_are_dated_in_gps_time_and_the_event_log_in_unix_time(bench):
    made = bench([[10, 5, "OBSTRUCTED"]])
    made.now_s = T0 + 60
    history = made.ask("get_history").dish_get_history
    [outage], [event] = history.outages, history.event_log.events
    assert T0 + 10 == unix_from_gps_ns(outage.start_timestamp_ns)
    assert (T0 + 10) * 10**9 == event.start_timestamp_ns
    assert (5 * 10**9, 6) == (outage.duration_ns, outage.cause)
    assert T0 + 60 == history.event_log.current_timestamp_ns / 1e9


def test_an_outage_under_way_has_lasted_so_far(bench):
    made = bench([[10, float("inf"), "NO_SATS"]])
    made.now_s = T0 + 13
    assert 3 * 10**9 == made.ask("get_status").dish_get_status.outage.duration_ns


def test_the_status_never_fills_its_drop_rate(bench):
    made = bench([[0, 100, "NO_SATS"]])
    made.now_s = T0 + 50
    assert made.ask("get_status").dish_get_status.pop_ping_drop_rate == 0.0
    assert made.ask("get_status", made.router).wifi_get_status.pop_ping_drop_rate == 1.0


@pytest.mark.parametrize(
    "request_name",
    ["reboot", "dish_stow", "dish_set_config", "wifi_set_config", "dish_get_context",
     "get_location"],
)  # fmt: skip
def test_writes_and_location_are_locked(bench, request_name):
    assert PERMISSION_DENIED == refused(bench(), request_name)


@pytest.mark.parametrize("request_name", ["get_radio_stats", "get_log", "wifi_get_clients"])
def test_what_a_dish_does_not_know_is_unimplemented(bench, request_name):
    assert UNIMPLEMENTED == refused(bench(), request_name)


def test_an_empty_request_is_unimplemented_and_rubbish_is_internal(bench):
    for raw, status in ((b"", UNIMPLEMENTED), (b"\xff\xff", INTERNAL)):
        with pytest.raises(Refusal) as caught:
            bench().dish.handle(raw)
        assert status == caught.value.status


def test_an_unlocked_dish_can_be_stowed_and_unstowed(bench):
    made = bench(unlocked=True)
    made.ask("dish_stow")
    made.now_s += 5
    assert 2 == made.ask("get_status").dish_get_status.outage.cause
    made.ask("dish_stow", unstow=True)
    made.now_s += 1
    assert not made.ask("get_status").dish_get_status.HasField("outage")


def test_an_unlocked_dish_tells_its_place(bench):
    assert -89.54 == bench(unlocked=True).ask("get_location").get_location.lla.lat


def test_a_reboot_is_silence_a_new_counter_and_one_boot_more(bench):
    made = bench(unlocked=True)
    before = made.ask("get_status").dish_get_status.device_info.bootcount
    made.ask("reboot")
    made.now_s += REBOOT_S - 1
    assert UNAVAILABLE == refused(made, "get_status")
    made.now_s += 6
    status = made.ask("get_status").dish_get_status
    history = made.ask("get_history").dish_get_history
    assert (before + 1, 5) == (status.device_info.bootcount, history.current)
    assert 1 == status.outage.cause
    made.now_s += 20
    assert not made.ask("get_status").dish_get_status.HasField("outage")


def test_alerts_and_disablement_are_told(bench):
    made = bench(alerts=("thermal_throttle",), disablement="NO_ACTIVE_ACCOUNT")
    status = made.ask("get_status").dish_get_status
    assert (True, 2) == (status.alerts.thermal_throttle, status.disablement_code)


@pytest.mark.parametrize(
    "request_name",
    ["get_device_info", "get_diagnostics", "dish_get_obstruction_map", "dish_get_config"],
)
def test_a_dish_answers_what_needs_no_login(bench, request_name):
    assert bench().ask(request_name).WhichOneof("response")


@pytest.mark.parametrize(
    "request_name",
    ["get_history", "get_diagnostics", "wifi_get_clients", "wifi_get_config",
     "wifi_get_ping_metrics"],
)  # fmt: skip
def test_a_router_answers_what_needs_no_login(bench, request_name):
    made = bench()
    assert made.ask(request_name, made.router).WhichOneof("response").startswith("wifi")
