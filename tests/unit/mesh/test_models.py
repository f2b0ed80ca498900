import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunes.errors import DataError, LocalError
from dunes.mesh.access import encode_opcode, split_opcode, vendor_opcode
from dunes.mesh.errors import BadPdu
from dunes.mesh.models import config_keys, config_models, config_node, generic, health, sensor
from dunes.mesh.models.answers import ANSWERS, WITH_APP_KEY, answers
from dunes.mesh.models.composition import Composition, Element
from dunes.mesh.models.config import (
    MESSAGES,
    period_octet,
    publish_octet,
    read_period_octet,
    read_publish_octet,
    read_transmit_octet,
    transmit_octet,
)
from dunes.mesh.models.generic import read_transition_octet, transition_octet
from dunes.mesh.models.habitat import PARAMETER_BYTES_MAX, habitat, load_habitat
from dunes.mesh.models.habitat_server import HabitatMessage, HabitatServer
from dunes.mesh.models.measured import Measured, measured, unwrap_time
from dunes.mesh.models.properties import PROPERTIES
from dunes.mesh.models.sensor import Cadence, Descriptor, Marshalled, marshal, unmarshal
from dunes.mesh.models.sensor_server import SensorServer
from dunes.mesh.wire import ModelId, pack_indexes, unpack_indexes

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "mesh"


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["vectors"]


def test_the_published_composition_is_read_and_written():
    (case,) = vectors("composition")
    out, data = case["out"], bytes.fromhex(case["in"]["data"])
    (element,) = out["elements"]
    models = [ModelId(int(each, 16)) for each in element["sig_models"]]
    models += [ModelId(int(each[4:], 16), int(each[:4], 16)) for each in element["vendor_models"]]
    expected = Composition(
        *(int(out[name], 16) for name in ("cid", "pid", "vid", "crpl", "features")),
        (Element(int(element["location"], 16), tuple(models)),),
    )
    assert expected == Composition.decode(data)
    assert data == expected.encode()
    assert "003F002A" == str(models[-1])


@pytest.mark.parametrize("cut", range(24))
def test_a_composition_that_is_cut_off_is_refused_or_shorter(cut):
    data = bytes.fromhex(vectors("composition")[0]["in"]["data"])
    with pytest.raises(BadPdu):
        Composition.decode(data[:cut])


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            "8.3.6",
            config_keys.AppKeyAdd(
                (0x456, 0x123), bytes.fromhex("63964771734fbd76e3b40519d1d94a48")
            ),
        ),
        ("8.3.16", config_keys.AppKeyStatus(0, (0x456, 0x123))),
        ("8.3.18", health.CurrentStatus(0, 0, b"\0")),
        ("8.3.20", health.CurrentStatus(0, 0, b"\x01\x07\x03")),
    ],
)
def test_published_access_messages_are_read_and_written(case, message):
    (published,) = [each["access"] for each in vectors("messages") if each["id"] == case]
    assert published == message.encode().hex()
    _, parameters = split_opcode(bytes.fromhex(published))
    assert message == type(message).decode(parameters)


def test_a_published_vendor_opcode_has_its_company_little_endian():
    (published,) = [each["access"] for each in vectors("messages") if each["id"] == "8.3.21"]
    opcode, parameters = split_opcode(bytes.fromhex(published))
    assert (vendor_opcode(0x15, 0x000A), b"Hello") == (opcode, parameters[0:])
    assert published == (encode_opcode(opcode) + parameters).hex()


def test_configuration_messages_have_the_opcodes_of_the_specification():
    expected = {
        config_node.CompositionGet: 0x8008,
        config_node.CompositionStatus: 0x02,
        config_keys.AppKeyAdd: 0x00,
        config_models.PublicationSet: 0x03,
        config_models.SubscriptionAdd: 0x801B,
        config_models.ModelAppBind: 0x803D,
        config_node.NodeReset: 0x8049,
        config_node.HeartbeatPublicationStatus: 0x06,
    }
    assert expected == {kind: kind.opcode for kind in expected}
    assert 71 == len(MESSAGES)


@pytest.mark.parametrize("kind", [*MESSAGES.values(), *WITH_APP_KEY.values()])
@settings(max_examples=20)
@given(data=st.binary(max_size=40))
def test_any_octets_are_a_message_or_a_bad_pdu(kind, data):
    try:
        message = kind.decode(data)
    except BadPdu:
        return
    encoded = message.encode()
    assert encode_opcode(kind.opcode) == encoded[: len(encode_opcode(kind.opcode))]
    assert message == kind.decode(encoded[len(encode_opcode(kind.opcode)) :])


def test_every_request_has_an_answer_of_its_own_kind():
    for request, answer in ANSWERS.items():
        assert request.__module__ == answer.__module__
        assert request.opcode != answer.opcode


def test_an_answer_must_repeat_what_was_asked():
    onoff, level = ModelId(0x1000), ModelId(0x1002)
    request = config_models.ModelAppBind(5, 1, onoff)
    assert answers(request, config_models.ModelAppStatus(0, 5, 1, onoff))
    assert not answers(request, config_models.ModelAppStatus(0, 6, 1, onoff))
    assert not answers(request, config_models.ModelAppStatus(0, 5, 1, level))
    assert not answers(request, config_node.TtlStatus(5))


def test_a_value_that_does_not_fit_is_our_own_mistake():
    with pytest.raises(LocalError, match=r"TtlSet\.ttl"):
        config_node.TtlSet(256).encode()
    with pytest.raises(LocalError, match="key has 3 octets"):
        config_keys.NetKeyAdd(0, b"abc").encode()


def test_keys_are_not_in_the_repr_of_messages():
    assert "key" not in repr(config_keys.NetKeyAdd(0, b"k" * 16)).replace("Key", "")


@given(st.lists(st.integers(0, 0xFFF), max_size=20))
def test_key_indexes_are_packed_in_pairs(indexes):
    assert tuple(indexes) == unpack_indexes(pack_indexes(indexes))


def test_packed_octets_say_what_was_meant():
    assert (3, pytest.approx(0.02)) == read_transmit_octet(transmit_octet(3, 0.020))
    assert 0b00001010 == transmit_octet(3, 0.020)
    assert (2, pytest.approx(0.1)) == read_publish_octet(publish_octet(2, 0.1))
    expected = {0: 0, 0.1: 0x01, 6.3: 0x3F, 7: 0x47, 30: 0x5E, 64: 0x87, 3600: 0xC6}
    assert expected == {each: period_octet(each) for each in expected}


@given(st.floats(0.1, 37800))
def test_a_period_is_never_shorter_than_asked(period_s):
    said_s = read_period_octet(period_octet(period_s))
    assert said_s >= period_s - 1e-6
    assert said_s <= max(period_s * 2, period_s + 600)


@given(st.floats(0, 37200))
def test_a_transition_time_is_close_to_what_was_asked(seconds):
    said_s = read_transition_octet(transition_octet(seconds))
    allowed_s = max(seconds * 0.09, 0.05) if seconds <= 620 else 300
    assert abs(said_s - seconds) <= allowed_s + 1e-6


# ------------------------------------------------------------------- sensors


def test_a_sensor_status_of_the_specification_is_read():
    (value,) = unmarshal(bytes.fromhex("820a6608"))
    assert (0x0054, 21.5) == (value.property_id, value.value().number)
    assert "820a6608" == marshal([value]).hex()


@given(
    st.lists(
        st.builds(
            Marshalled, st.integers(1, 0xFFFF), st.none() | st.binary(min_size=1, max_size=127)
        ),
        max_size=6,
    )
)
def test_marshalled_values_come_back(values):
    assert values == unmarshal(marshal(values))


def test_two_values_of_two_octets_stay_unsegmented():
    server = SensorServer.of(0x0075, 0x0076)
    assert 9 == len(server.publication(0.0).encode())


@pytest.mark.parametrize(
    ("property_id", "raw", "number", "meaning"),
    [
        (0x0075, "9cff", -1.0, ""),
        (0x0075, "0080", None, "not known"),
        (0x0076, "8813", 50.0, ""),
        (0x0077, "feff", None, "over range"),
        (0x0077, "ffff", None, "not known"),
        (0x0077, "9001", 400, ""),
        (0x0082, "cd8b0f00", 101.88290, ""),
        (0x004F, "2b", 21.5, ""),
        (0x004F, "7f", None, "not known"),
    ],
)
def test_properties_have_their_characteristics_format(property_id, raw, number, meaning):
    value = PROPERTIES[property_id].read(bytes.fromhex(raw))
    assert (number, meaning) == (value.number, value.meaning)


def test_a_value_of_the_wrong_size_is_refused():
    with pytest.raises(BadPdu):
        Marshalled(0x0075, b"a").value()
    assert Marshalled(0x6789, b"a").value() is None


def test_descriptors_and_cadences_come_back():
    descriptor = Descriptor(0x0075, 0xABC, 0x123, 1, 64, 70)
    assert [descriptor] == sensor.read_descriptors(descriptor.encode())
    assert 0x0099 == sensor.read_descriptors(b"\x99\x00")
    cadence = Cadence(3, True, b"\x01\0", b"\x02\0", 5, b"abc", b"def")
    assert cadence == Cadence.decode(cadence.encode(), 3)
    with pytest.raises(BadPdu):
        Cadence.decode(cadence.encode(), 2)


def test_a_change_beyond_the_cadence_is_published_at_once():
    server = SensorServer.of(0x0075)
    known = server.sensors[0x0075]
    known.cadence = Cadence(0, False, b"\x64\0", b"\x64\0", 10, b"\0\0", b"\0\0")
    server.publication(0.0)
    assert server.set_value(0x0075, 0.5, 5.0) is None, "half a degree is less than the delta"
    assert server.set_value(0x0075, 1.5, 5.1) is not None
    assert server.set_value(0x0075, 3.0, 5.2) is None, "sooner than the minimum interval"
    assert server.set_value(0x0075, 3.0, 6.3) is not None


def test_the_fast_range_publishes_oftener():
    server = SensorServer.of(0x0075)
    low, high = (3000).to_bytes(2, "little"), (9000).to_bytes(2, "little")
    server.sensors[0x0075].cadence = Cadence(3, False, b"\0\0", b"\0\0", 0, low, high)
    server.set_value(0x0075, 20, 0.0)
    assert 1 == server.divisor()
    server.set_value(0x0075, 50, 0.0)
    assert 8 == server.divisor()


# ------------------------------------------------------------------- habitat


def test_every_vendor_message_is_unsegmented():
    for layout in habitat().messages.values():
        assert layout.size <= PARAMETER_BYTES_MAX


def test_a_report_has_the_documented_octets():
    payload = habitat().make(
        "Report", kind=1, alert=1, clock_set=0, sequence=1, time_s=0x010203, value=-2
    )
    assert "c1ffff" + "01" + "0500" + "030201" + "feff" == payload.hex()


@given(
    st.fixed_dictionaries(
        {
            "kind": st.integers(0, 255),
            "alert": st.integers(0, 1),
            "clock_set": st.integers(0, 1),
            "sequence": st.integers(0, 2**14 - 1),
            "time_s": st.integers(0, 2**24 - 1),
            "value": st.integers(-(2**15), 2**15 - 1),
        }
    )
)
def test_reports_come_back(report):
    assert ("Report", report) == habitat().read(*split_opcode(habitat().make("Report", **report)))


def test_a_report_out_of_range_is_our_own_mistake():
    with pytest.raises(LocalError, match="sequence"):
        habitat().make("Report", kind=1, alert=0, clock_set=0, sequence=2**14, time_s=0, value=0)
    with pytest.raises(LocalError, match="takes"):
        habitat().make("Report", kind=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "company = [",
        'message = [{name="A", opcode=1, doc="", field=[{name="a", bits=7, doc=""}]}]',
    ],
)
def test_a_definition_that_does_not_fit_is_refused(text):
    with pytest.raises(DataError):
        load_habitat(text)


def test_the_dose_rate_of_a_solar_particle_event_can_be_said():
    (code,) = [each.code for each in habitat().kinds.values() if each.name == "radiation"]
    report = HabitatServer().report(code, 2750.4, 0.0, alert=True)
    (found,) = measured(HabitatMessage(*habitat().read(*split_opcode(report.encode()))))
    assert ("radiation", 2750.4, "uSv/h") == (found.kind, found.value, found.unit)


def test_kinds_have_units_and_scale():
    assert 18.2 == habitat().number(4, 1820)
    assert habitat().number(4, -0x8000) is None
    assert habitat().number(250, 1) is None
    assert "%" == habitat().kinds[4].unit


def test_faults_have_names():
    assert "battery low" == health.fault_name(1)
    assert health.is_fault_warning(7)
    assert "fault 0x90" == health.fault_name(0x90)


def test_level_status_is_signed():
    assert generic.LevelStatus(-5, 7, 3) == generic.LevelStatus.decode(b"\xfb\xff\x07\x00\x03")


# ------------------------------------------------------------------- one shape for all


def test_every_model_measures_in_the_same_shape():
    status = sensor.SensorStatus(
        marshal(
            [
                Marshalled(0x0075, b"\x9c\xff"),
                Marshalled(0x0077, b"\xff\xff"),
                Marshalled(0x6789, b"\x01\x02"),
                Marshalled(0x0076, None),
            ]
        )
    )
    assert [
        Measured("temperature", -1.0, "Cel"),
        Measured("property_6789", "0102", ""),
    ] == list(measured(status))
    server = HabitatServer(unix_offset_s=0.0)
    reports = [server.report(4, 18.2, 5.0, alert=True), server.report(1, None, 6.0)]
    read = [server.decode(*split_opcode(each.encode())) for each in reports]
    assert [Measured("o2", 18.2, "%", True, 5, 0)] == list(measured(read[0]))
    assert [] == list(measured(read[1]))
    assert [Measured("fault", "battery low", "", True)] == list(
        measured(health.CurrentStatus(0, 0, b"\x00\x01"))
    )
    assert [] == list(measured(None))


@given(st.floats(-90, 89.99), st.floats(-180, 180))
def test_positions_are_kept_to_metres(latitude, longitude):
    server = HabitatServer()
    payload = server.position(latitude, longitude).encode()
    north, east = measured(server.decode(*split_opcode(payload)))
    assert abs(north.value - latitude) < 2e-5
    assert abs(east.value - longitude) < 3e-5


@given(st.integers(1_700_000_000, 2_000_000_000), st.integers(-8_000_000, 8_000_000))
def test_a_nodes_time_is_unwrapped_to_the_nearest(now, behind):
    assert now - behind == unwrap_time((now - behind) % 2**24, now)


def test_vendor_kinds_are_kinds_of_the_house():
    for known in habitat().kinds.values():
        assert known.name == known.name.lower()
        assert " " not in known.name
