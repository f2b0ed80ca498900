"""A mesh of the simulated site, set up by `dunes mesh-init --ble bluez`: bleak, as it is, in a
process of its own, on a real bus, through a bluetoothd that stands on the site's air."""

import asyncio
import json
import subprocess
import sysconfig
import threading

import pytest

from dunes.paths import find_paths
from dunes.site import running_site

from .bluezbridge import BridgedBluetoothd
from .bluezpeer import HAVE_DAEMON, Daemon

pytestmark = pytest.mark.skipif(not HAVE_DAEMON, reason="needs dbus-daemon: apt install dbus")


@pytest.fixture
def typed(tmp_path, request):
    home = tmp_path / "home"
    home.mkdir()
    env = {
        "PATH": f"{sysconfig.get_path('scripts')}:/usr/bin:/bin",
        "HOME": str(home),
        "DUNES_HOME": str(home / "dunes"),
        "LC_ALL": "C.UTF-8",
    }

    def run(*argv, **more):
        return subprocess.run(
            argv, env=env | more, cwd=home, capture_output=True, text=True, timeout=90, check=False
        )

    run.env = env
    up = run("dunes", "sim", "up", "--nodes", str(request.param))
    assert 0 == up.returncode, up.stderr
    yield run
    run("dunes", "sim", "down")


@pytest.fixture
def bluez(typed, tmp_path):
    """Play bluetoothd in a thread, with the site's air as its adapter."""
    site = running_site(find_paths(typed.env))
    daemon = Daemon(tmp_path)
    up, end, seen = threading.Event(), threading.Event(), []

    async def play():
        played = BridgedBluetoothd(daemon.address, f"tcp-client:{site.radio}", disconnect_s=0.3)
        await played.start()
        played.calls = seen
        up.set()
        await asyncio.to_thread(end.wait)
        await played.stop()

    thread = threading.Thread(target=asyncio.run, args=(play(),))
    thread.start()
    assert up.wait(20)
    yield {"DBUS_SYSTEM_BUS_ADDRESS": daemon.address}, seen
    end.set()
    thread.join(20)
    daemon.stop()


def init(typed, nodes, bluez):
    """Set nodes up, and give the report."""
    argv = ["dunes", "mesh-init", "--nodes", str(nodes), "--ble", "bluez", "--json"]
    done = typed(*argv, **bluez)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("typed", [4], indirect=True)
def test_nodes_are_provisioned_and_configured_through_bluez(typed, bluez):
    bluez, calls = bluez
    report = init(typed, 4, bluez)
    assert (4, []) == (report["configured"], report["failed"])
    members = [member for member, _ in calls]
    assert members.count("Connect") >= 8  # 0x1827, then 0x1828, of each
    assert "WriteValue" in members


@pytest.mark.parametrize("typed", [1], indirect=True)  # alone, it is its own proxy
def test_a_node_that_was_reset_is_set_up_again_through_bluez(typed, bluez):
    bluez, calls = bluez
    assert 1 == init(typed, 1, bluez)["configured"]
    status = json.loads(typed("dunes", "mesh-status", "--json").stdout.splitlines()[-1])
    name = status["nodes"][0]["name"]
    removed = typed("dunes", "mesh-remove", name, "--ble", "bluez", "--json", **bluez)
    assert 0 == removed.returncode, removed.stderr
    assert 1 == init(typed, 1, bluez)["configured"]
    members = [member for member, _ in calls]
    assert members.count("Connect") >= 5  # two to set it up, one to reset it, two again
