"""The checks of the radio: BlueZ on a real bus, and HCI controllers."""

import asyncio
import threading

import pytest

from dunes.doctor import radio
from dunes.doctor.check import Given, Result
from dunes.settings import load

from .bluezpeer import DENY, HAVE_DAEMON, Bluetoothd, Daemon


@pytest.fixture
def given(tmp_path):
    def make(**environ):
        env = {"DUNES_HOME": str(tmp_path / "dunes")} | environ
        return Given(load(env, folder=tmp_path), env)

    return make


@pytest.fixture
def played(tmp_path, monkeypatch):
    """Start a bus with a bluetoothd in a thread of its own: the checks run loops of theirs."""
    ends = []

    def start(change=lambda _: None, rule="", **rest):
        if not HAVE_DAEMON:
            pytest.skip("needs dbus-daemon: apt install dbus")
        daemon = Daemon(tmp_path, rule=rule)
        up, end = threading.Event(), threading.Event()

        async def play():
            peer = await Bluetoothd(daemon.address, **rest).start()
            change(peer)
            up.set()
            await asyncio.to_thread(end.wait)
            await peer.stop()

        thread = threading.Thread(target=asyncio.run, args=(play(),))
        thread.start()
        assert up.wait(10)
        ends.append((daemon, end, thread))
        monkeypatch.setenv(radio.BUS_VARIABLE, daemon.address)
        return {radio.BUS_VARIABLE: daemon.address}

    yield start
    for daemon, end, thread in ends:
        end.set()
        thread.join(10)
        daemon.stop()


def test_an_adapter_that_is_on_is_well_and_so_is_the_bus(given, played, tmp_path):
    here = given(**played())
    assert Result("ok", "hci0, switched on") == radio.adapter(here, sysfs=tmp_path)
    assert Result("ok", "the system bus answers, BlueZ is on it") == radio.dbus(here)


def test_an_adapter_that_is_off_is_a_failure(given, played, tmp_path):
    found = radio.adapter(given(**played(lambda peer: peer.power(False))), sysfs=tmp_path)
    assert ("fail", "adapter hci0 is switched off") == found[:2]
    assert "bluetoothctl power on" in found.hint


def test_the_adapter_of_the_configuration_has_to_be_there(given, played, tmp_path):
    env = played()
    found = radio.adapter(given(DUNES_BLE="bluez:hci3", **env), sysfs=tmp_path)
    assert ("fail", "there is no adapter hci3; there is hci0") == found[:2]
    found = radio.adapter(given(DUNES_BLE="bluez:hci3"), sysfs=tmp_path)
    assert ("fail", "there is no adapter hci3") == found[:2]


def test_a_policy_that_forbids_bluez_is_a_failure_with_its_hint(given, played):
    from dunes.doctor.check import Check, examine

    report = examine([Check("dbus", radio.dbus)], given(**played(rule=DENY)))
    assert ("fail", True) == (
        report.findings[0].state,
        "usermod -aG bluetooth" in report.findings[0].hint,
    )


def test_a_bus_without_bluez_is_a_warning(given, tmp_path, monkeypatch):
    if not HAVE_DAEMON:
        pytest.skip("needs dbus-daemon: apt install dbus")
    daemon = Daemon(tmp_path)
    monkeypatch.setenv(radio.BUS_VARIABLE, daemon.address)
    found = radio.dbus(given(**{radio.BUS_VARIABLE: daemon.address}))
    daemon.stop()
    assert ("warn", "systemctl start bluetooth") == (found.state, found.hint)


def test_a_controller_over_hci_needs_no_bluez(given, tmp_path):
    here = given(DUNES_BLE="hci:tcp-client:127.0.0.1:9000")
    assert Result("ok", "not needed: the mesh uses hci:tcp-client:127.0.0.1:9000") == radio.dbus(
        here
    )
    found = radio.adapter(here, sysfs=tmp_path)
    assert ("ok", True) == (found.state, "by DUNES_BLE; not opened" in found.message)


def test_a_serial_controller_has_to_be_there(given, tmp_path):
    found = radio.adapter(given(DUNES_BLE="hci:serial:/dev/ttyNONE0"), sysfs=tmp_path)
    assert ("fail", "there is no /dev/ttyNONE0") == found[:2]
    here = tmp_path / "ttyACM0"
    here.touch()
    assert "ok" == radio.adapter(given(DUNES_BLE=f"hci:serial:{here},115200")).state
