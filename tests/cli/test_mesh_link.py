"""A device that is no mesh node speaks in a mesh: real processes, heard by another radio."""

import asyncio
import json
import subprocess
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from random import SystemRandom

import pytest

from dunes.ble.errors import RadioLost
from dunes.ble.opening import open_radio
from dunes.ble.radio import Service
from dunes.gateway.keeper import Taken
from dunes.gateway.runner import Runner
from dunes.gateway.waiting import NoAnswer
from dunes.gateway.wholestate import read_whole
from dunes.mesh.manager import Manager, Received
from dunes.mesh.models.habitat import habitat
from dunes.mesh.models.habitat_server import HabitatMessage
from dunes.mesh.sequence import SeqRecord
from dunes.settings import load

NODES = 6
LISTENER = 0x7000
"""An address that nobody in the mesh has."""


class Memory:
    """Keeps nothing: this listener lives for one test."""

    def take(self, _received):
        return Taken()

    def keep(self, _stores, items):
        return items

    def close(self):
        pass


@pytest.fixture
def site(typed):
    up = typed("dunes", "sim", "up", "--nodes", str(NODES))
    assert 0 == up.returncode, up.stderr
    yield typed
    typed("dunes", "sim", "down")


def report_of(process):
    assert 0 == process.returncode, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def other_radio(exported):
    """Give a manager that has the mesh's keys, an address of its own, and no node to speak to."""
    state = read_whole(json.loads(exported.read_text())).state
    stack = replace(state.stack, seq=SeqRecord(), replay=())
    state = replace(state, unicast=LISTENER, stack=stack, elements=1)
    return Manager.start(state, SystemRandom(), now_s=asyncio.get_running_loop().time())


async def link_to_a_proxy(hold, runner):
    """Use whichever proxy takes one more link: the gateway has its own."""
    for _ in range(10):
        async with runner.sightings.watching():
            seen = await runner.sightings.find(lambda each: each.proxy is not None, timeout_s=5)
        with suppress(RadioLost, NoAnswer):
            way = runner.link(seen.address, Service.PROXY, timeout_s=5)
            await runner.proxy(await hold.enter_async_context(way))
            return
    pytest.fail("no proxy")


async def hear(home, exported, radio_name, say):
    """Hear the mesh by another radio and proxy than the gateway's; gives what came of 0x0002."""
    found, came = [], asyncio.Event()

    def heard(event):
        if isinstance(event, Received) and event.access.src == 0x0002:
            found.append(event)
            if len(found) == 2:
                came.set()

    async with AsyncExitStack() as hold, asyncio.timeout(15):
        settings = load({"DUNES_HOME": str(home / "dunes")}, folder=home)
        radio = await open_radio(radio_name, settings=settings, site=None)
        hold.push_async_callback(radio.close)
        runner = await hold.enter_async_context(Runner(other_radio(exported), radio, Memory()))
        runner.on_event.append(heard)
        await link_to_a_proxy(hold, runner)
        await asyncio.to_thread(say)
        await came.wait()
    return found


def test_what_a_linked_device_measures_is_heard_in_the_mesh(site, environment, home):
    init = report_of(site("dunes", "mesh-init", "--nodes", str(NODES), "--json"))
    assert NODES == init["configured"]
    told = ["dunes", "mesh-link", "--iot-device", "cube-sat-001", "--mesh-id", "lunar-ble-001"]
    linked = report_of(site(*told, "--json"))
    assert (True, 1, 0x0002) == (linked["changed"], linked["element"], linked["address"])
    again = site(*told)
    assert (0, True) == (again.returncode, "nothing to do" in again.stdout)
    unknown = site(*told[:-1], "mars-ble-001")
    assert (66, True) == (unknown.returncode, "--mesh-id lunar-ble-001" in unknown.stderr)
    report_of(site("dunes", "mesh-export", "--format", "state", "--output", "keys.json", "--json"))
    exported = home / "keys.json"
    assert ["cube-sat-001"] == [
        each["device"] for each in json.loads(exported.read_text())["links"]
    ]

    def ingest(*readings):
        lines = "".join(json.dumps({"device": "cube-sat-001"} | each) + "\n" for each in readings)
        done = site("dunes", "ingest", "--table", "iot_data", given=lines)
        assert 0 == done.returncode, done.stderr

    radiation = {"kind": "radiation", "unit": "uSv/h"}
    ingest(radiation | {"value": 1.5})  # before anybody listens: it is not told
    listener = subprocess.Popen(
        ["dunes", "mesh-listen", "--json"],
        env=environment,
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in listener.stderr:
            if line.startswith("listening to"):
                break
        came = asyncio.run(
            hear(
                home,
                exported,
                init["radio"].partition(" ")[0],
                lambda: ingest(
                    {"kind": "temperature", "unit": "Cel", "value": -12.5},
                    radiation | {"value": 2000.0},
                    {"kind": "wind_speed", "value": 2, "unit": "m/s"},
                ),
            )
        )
        status = report_of(site("dunes", "mesh-status", "--json"))
    finally:
        listener.terminate()
        _, said = listener.communicate(timeout=20)
    assert [HabitatMessage] * 2 == [type(each.message) for each in came]
    alert, routine = (each.message.values for each in came)
    assert [0xC001] * 2 == [each.access.dst for each in came]
    assert (1, 1, 2000.0) == (alert["alert"], alert["clock_set"], number(alert))
    assert (0, 1, -12.5) == (routine["alert"], routine["clock_set"], number(routine))
    assert [0, 1] == [alert["sequence"], routine["sequence"]]
    assert (2, {"kind": 1}) == (status["live"]["published"], status["live"]["skipped"])
    assert [("cube-sat-001", 2)] == [(e["device"], e["address"]) for e in status["linked"]]
    assert "cube-sat-001 wind_speed is not told to the mesh" in said
    assert 0 == listener.returncode


def number(values):
    return habitat().number(values["kind"], values["value"])
