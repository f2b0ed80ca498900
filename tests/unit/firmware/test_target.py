import pytest

from dunes.errors import UsageError
from dunes.firmware.target import Target, Way, parse_target


@pytest.mark.parametrize(
    ("text", "way", "address", "port", "speed"),
    [
        ("rover-001", Way.BLE, "rover-001", 0, 115200),
        ("ble:Suit 7", Way.BLE, "Suit 7", 0, 115200),
        ("ble:C0:FF:EE:00:11:22", Way.BLE, "C0:FF:EE:00:11:22", 0, 115200),
        ("/dev/ttyUSB0", Way.SERIAL, "/dev/ttyUSB0", 0, 115200),
        ("/dev/ttyACM1,1000000", Way.SERIAL, "/dev/ttyACM1", 0, 1000000),
        ("serial:/dev/pts/3", Way.SERIAL, "/dev/pts/3", 0, 115200),
        ("udp:192.0.2.7:1337", Way.UDP, "192.0.2.7", 1337, 115200),
        ("udp:node.example", Way.UDP, "node.example", 1337, 115200),
        ("udp:[2001:db8::7]:5000", Way.UDP, "2001:db8::7", 5000, 115200),
        ("udp:[2001:db8::7]", Way.UDP, "2001:db8::7", 1337, 115200),
        ("uf2:/media/me/FTHR840BOOT", Way.UF2, "/media/me/FTHR840BOOT", 0, 115200),
        ("probe:000685123456", Way.PROBE, "000685123456", 0, 115200),
        ("probe:", Way.PROBE, "", 0, 115200),
    ],
)
def test_each_way_to_a_node_is_read(text, way, address, port, speed):
    assert Target(way, address, port, speed, text) == parse_target(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "-rover", "ble:", "ble:a\nb", "udp:", "udp:host:0", "udp:host:70000", "udp:host:x",
        "udp:ho st:1", "uf2:relative", "uf2:", "probe:a b", "serial:ttyUSB0", "/dev/ttyUSB0,fast",
        "mqtt:x", "x" * 65, "http://x", "udp:[zz]:1",
    ],
)  # fmt: skip
def test_what_names_no_node_is_refused(text):
    with pytest.raises(UsageError):
        parse_target(text)


def test_an_address_is_told_from_a_name():
    assert parse_target("ble:C0:FF:EE:00:11:22").is_bluetooth_address
    assert not parse_target("ble:C0FFEE").is_bluetooth_address
