"""Reading a device's answers: old firmware, new firmware, and both kinds of device."""

import msgspec
import pytest
from google.protobuf import descriptor_pb2

from dunes.starlink.descriptors import OWN_SET, device_api
from dunes.starlink.errors import BadAnswer
from dunes.starlink.status import active_alerts, look_at

T0 = 1_800_000_000.0
API = device_api({})


def response(kind: str):
    made = API.message("Response")()
    getattr(made, kind).SetInParent()
    return made


def dish():
    made = response("dish_get_status")
    made.api_version = 42
    status = made.dish_get_status
    status.device_info.id = "ut1"
    status.device_state.uptime_s = 1000
    return made


def router():
    made = response("wifi_get_status")
    made.wifi_get_status.device_info.id = "Router-1"
    made.wifi_get_status.device_state.uptime_s = 500
    return made


def test_a_bare_answer_of_old_firmware_is_read():
    snapshot = look_at(dish(), None, unix_s=T0).snapshot
    assert (snapshot.role, snapshot.device_id, snapshot.api_version) == ("dish", "ut1", 42)
    assert (snapshot.drop_rate, snapshot.alerts, snapshot.outage) == (None, (), "")


def test_a_router_is_told_by_its_answer():
    status = router()
    status.wifi_get_status.pop_ping_drop_rate = 0.25
    snapshot = look_at(status, None, unix_s=T0).snapshot
    assert (snapshot.role, snapshot.sky_drop_rate) == ("router", 0.25)


@pytest.mark.parametrize("kind", ["dish_get_diagnostics", "wifi_get_diagnostics"])
def test_diagnostics_identify_a_device_and_say_nothing_of_its_link(kind):
    answer = response(kind)
    getattr(answer, kind).id = "x1"
    look = look_at(answer, None, unix_s=T0)
    assert look.snapshot.device_id == "x1"
    assert look.snapshot.role == ("dish" if kind.startswith("dish") else "router")
    assert look.observation.ring is None


@pytest.mark.parametrize("kind", ["get_ping", "reboot"])
def test_an_answer_to_something_else_is_refused(kind):
    with pytest.raises(BadAnswer):
        look_at(response(kind), None, unix_s=T0)


def test_an_answer_that_we_do_not_know_is_refused_with_the_way_out():
    with pytest.raises(BadAnswer) as caught:
        look_at(API.response(bytes.fromhex("fae90400")), None, unix_s=T0)
    assert "DUNES_PROTOSET" in caught.value.hint


def test_alerts_of_newer_firmware_are_shown_by_number():
    alerts = API.message("DishAlerts")()
    alerts.roaming = True
    newer = alerts.SerializeToString() + bytes.fromhex("c00101") + bytes.fromhex("c80100")
    assert active_alerts(API.message("DishAlerts").FromString(newer)) == ("roaming", "alert-24")


def test_an_outage_of_a_new_cause_is_a_number():
    status = dish()
    status.dish_get_status.outage.cause = 99
    look = look_at(status, None, unix_s=T0)
    assert (look.snapshot.outage, look.observation.outage.cause) == ("99", "99")


@pytest.mark.parametrize(
    ("code", "shown"), [(0, ""), (1, ""), (2, "NO_ACTIVE_ACCOUNT"), (5, "5"), (16, "BLOCKED_AREA")]
)
def test_a_disablement_code_is_named_or_numbered(code, shown):
    status = dish()
    status.dish_get_status.disablement_code = code
    look = look_at(status, None, unix_s=T0)
    assert (look.snapshot.disablement, look.observation.disabled) == (shown, shown)


def test_restricted_bandwidth_is_told_and_degrades():
    status = dish()
    status.dish_get_status.dl_bandwidth_restricted_reason = 5
    status.dish_get_status.ul_bandwidth_restricted_reason = 1
    look = look_at(status, None, unix_s=T0)
    assert look.snapshot.limits == ("downlink: OVERAGE_LIMIT",)
    assert look.observation.impaired == ("limited downlink: OVERAGE_LIMIT",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("software_update_state", 6),
        ("software_update_stats.software_update_state", 6),
        ("software_update_stats.reboot_scheduled_utc_time", 1_800_000_100),
        ("alerts.install_pending", True),
    ],
)
def test_a_coming_reboot_is_announced(field, value):
    status = dish()
    *path, last = field.split(".")
    target = status.dish_get_status
    for name in path:
        target = getattr(target, name)
    setattr(target, last, value)
    assert look_at(status, None, unix_s=T0).snapshot.reboot_expected


def test_no_reboot_is_announced_without_a_reason():
    assert not look_at(dish(), None, unix_s=T0).snapshot.reboot_expected


def test_a_dish_without_history_stands_by_its_status():
    status = dish()
    good = look_at(status, None, unix_s=T0, has_history=False).observation
    assert {s.drop for s in good.ring.samples(0)} == {0.0}
    status.dish_get_status.outage.cause = 5
    bad = look_at(status, None, unix_s=T0, has_history=False).observation
    assert {s.drop for s in bad.ring.samples(0)} == {1.0}


def test_a_history_that_failed_once_says_nothing():
    assert look_at(dish(), None, unix_s=T0).observation.ring is None


def test_the_devices_clock_outranks_ours_once_it_is_set():
    history = response("dish_get_history")
    history.dish_get_history.event_log.current_timestamp_ns = 1_900_000_000 * 10**9
    assert look_at(dish(), history, unix_s=T0).observation.unix_s == 1_900_000_000
    history.dish_get_history.event_log.current_timestamp_ns = 17 * 10**9
    assert look_at(dish(), history, unix_s=T0).observation.unix_s == T0


def test_a_routers_unfilled_series_is_not_taken_for_a_perfect_link():
    history = response("wifi_get_history")
    history.wifi_get_history.current = 900
    history.wifi_get_history.ping_drop_rate.extend([0.0] * 900)
    history.wifi_get_history.ping_latency_ms.extend([0.0] * 900)
    status = router()
    status.wifi_get_status.pop_ping_drop_rate = 1.0
    ring = look_at(status, history, unix_s=T0).observation.ring
    assert ring.samples(0)[-1].drop == 1.0


def test_hostile_text_is_made_harmless():
    status = dish()
    status.dish_get_status.device_info.id = "ut\x1b[2J\u202e" + "x" * 1000
    snapshot = look_at(status, None, unix_s=T0).snapshot
    assert snapshot.device_id.isprintable()
    assert len(snapshot.device_id) == 80


def test_what_is_no_number_is_null_in_json():
    status = dish()
    status.dish_get_status.downlink_throughput_bps = float("nan")
    snapshot = look_at(status, None, unix_s=T0).snapshot
    assert snapshot.downlink_bps is None
    assert b"NaN" not in msgspec.json.encode(snapshot)


def test_an_outage_at_an_impossible_time_is_not_fatal():
    history = response("dish_get_history")
    outage = history.dish_get_history.outages.add()
    outage.start_timestamp_ns = 2**63 - 1
    outage.duration_ns = 2**64 - 1
    shown = look_at(dish(), history, unix_s=T0).snapshot.outages
    assert len(shown) == 1


def test_a_descriptor_set_of_older_firmware_reads_what_it_knows(tmp_path):
    """Fields that a user's own export lacks are absent, not errors."""
    files = list(descriptor_pb2.FileDescriptorSet.FromString(OWN_SET.read_bytes()).file)
    status = next(m for m in files[-1].message_type if m.name == "DishGetStatusResponse")
    kept = {
        "device_info", "device_state", "alerts", "outage", "pop_ping_latency_ms",
        "downlink_throughput_bps", "uplink_throughput_bps",
    }  # fmt: skip
    fields = [f for f in status.field if f.name in kept]
    del status.field[:]
    status.field.extend(fields)
    export = tmp_path / "old.protoset"
    export.write_bytes(descriptor_pb2.FileDescriptorSet(file=files).SerializeToString())
    old = device_api({"DUNES_PROTOSET": str(export)})
    full = dish()
    full.dish_get_status.disablement_code = 2
    full.dish_get_status.gps_stats.gps_valid = True
    snapshot = look_at(old.response(full.SerializeToString()), None, unix_s=T0).snapshot
    assert (snapshot.device_id, snapshot.gps_valid, snapshot.routers) == ("ut1", False, {})
