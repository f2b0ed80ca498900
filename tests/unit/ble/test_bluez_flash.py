"""A simulated node, flashed through bleak and a bluetoothd that stands on the site's air."""

import json

import pytest

from .bluezpeer import HAVE_DAEMON
from .test_bluez_site import bluez, typed  # noqa: F401 - fixtures

pytestmark = pytest.mark.skipif(not HAVE_DAEMON, reason="needs dbus-daemon: apt install dbus")


@pytest.mark.parametrize("typed", [2], indirect=True)
def test_a_node_is_flashed_through_bluez(typed, bluez):  # noqa: F811
    bus, _calls = bluez
    name = next(iter(json.loads(typed("dunes", "sim", "nodes", "--json").stdout)["nodes"]))
    argv = ["dunes", "flash-node", "--firmware", "ble-mesh-v1.2", "--ble", "bluez", "--json"]
    done = typed(*argv, "--device", name, **bus)
    assert 0 == done.returncode, done.stdout + done.stderr
    row = json.loads(done.stdout)["nodes"][0]
    assert ("updated", "1.1.0", "1.2.0") == (row["result"], row["before"], row["now"])
    assert row["sent_bytes"] > 60000
