"""The site's hold on the process of its air."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dunes.errors import Unavailable, UsageError
from dunes.sim.air.talk import Begin
from dunes.sim.airprocess import NO_BUMBLE, NO_MESH, Air
from dunes.sim.definition import load_definition


def begin(folder, nodes=3, **more):
    now_us = time.time_ns() // 1000
    definition = load_definition("lunar")
    return Begin(definition, str(folder), now_us, ((now_us, now_us, 1.0),), nodes, **more)


def with_air(folder, act, **more):
    """Run an air around `act(air)`; gives what it logged."""
    said = []

    async def whole():
        air = Air(lambda _acted: None, said.append)
        await air.start(begin(folder, **more))
        try:
            await act(air)
        finally:
            await air.stop()

    asyncio.run(whole())
    return said


async def is_listening(radio):
    host, _, port = radio.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    await writer.wait_closed()


def test_an_air_comes_up_says_how_it_is_and_ends(tmp_path):
    pids = []

    async def act(air):
        pids.append(air.pid)
        await is_listening(air.radio)
        state = await air.state()
        assert (air.radio, "", 0) == (state.radio, state.note, state.provisioned)
        assert ["hab-sensor-001", "crew-001", "relay-001"] == list(state.nodes)
        assert 32 == len(state.nodes["crew-001"].label)
        assert state.nodes["crew-001"].label not in repr(state)

    assert [] == with_air(tmp_path, act)
    assert not Path(f"/proc/{pids[0]}").exists()


def test_faults_are_ordered_and_what_cannot_be_is_said(tmp_path):
    async def act(air):
        await air.ask("fault", node="relay-001", kind="late")
        assert ("late",) == (await air.state()).nodes["relay-001"].faults
        await air.ask("fault", node="relay-001", kind="")
        assert () == (await air.state()).nodes["relay-001"].faults
        with pytest.raises(UsageError, match="no fault 'x'"):
            await air.ask("fault", node="relay-001", kind="x")
        with pytest.raises(UsageError, match="no node 'relay-9'"):
            await air.ask("fault", node="relay-9", kind="late")

    with_air(tmp_path, act)


def test_the_clock_of_the_site_is_followed(tmp_path):
    async def act(air):
        before = (await air.state()).site_us
        now_us = time.time_ns() // 1000
        air.tell("clock", anchors=[[now_us, now_us + 3_600_000_000, 60.0]])
        after = (await air.state()).site_us
        assert 3_599_000_000 < after - before < 3_700_000_000

    with_air(tmp_path, act)


def test_the_radio_is_at_the_same_port_again_if_that_is_free(tmp_path):
    ports = []

    async def first(air):
        ports.append(int(air.radio.rpartition(":")[2]))

    async def second(air):
        assert f"127.0.0.1:{ports[0]}" == air.radio
        other = Air(lambda _acted: None, print)
        await other.start(begin(tmp_path / "other", port=ports[0]))
        assert other.radio not in ("", air.radio)
        await other.stop()

    with_air(tmp_path, first)
    with_air(tmp_path, second, port=ports[0])


def test_an_air_that_is_killed_is_missed(tmp_path):
    async def act(air):
        os.kill(air.pid, signal.SIGSTOP)
        asking = asyncio.ensure_future(air.state())
        await asyncio.sleep(0)
        os.kill(air.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="the mesh has ended"):
            await asking
        for _ in range(100):
            if not air.radio:
                break
            await asyncio.sleep(0.02)
        state = await air.state()
        assert ("", "the mesh has ended by itself; see the site's log") == (
            state.radio,
            state.note,
        )

    assert ["the mesh has ended by itself; see the site's log"] == with_air(tmp_path, act)


def test_an_air_ends_with_a_site_that_is_killed(tmp_path):
    site = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_airprocess import begin
from dunes.sim.airprocess import Air

async def main():
    air = Air(lambda _acted: None, print)
    await air.start(begin(Path(sys.argv[1])))
    print(air.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", site, str(tmp_path), here], stdout=subprocess.PIPE, text=True
    ) as process:
        pid = int(process.stdout.readline())
        process.kill()
    deadline_s = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_state_that_cannot_be_read_is_no_end_of_the_site(tmp_path):
    (tmp_path / "crew-001.json").write_text('{"version": 1, "state": 7}')

    async def act(air):
        assert "" == air.radio
        assert "crew-001.json" in air.note
        assert "the nodes are new then" in air.note
        with pytest.raises(Unavailable, match="did not start"):
            await air.ask("state")

    (said,) = with_air(tmp_path, act)
    assert said.startswith("the mesh did not start: ")


def test_without_bumble_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("dunes.sim.airprocess.importlib.util.find_spec", lambda _name: None)

    async def act(air):
        assert ("", NO_BUMBLE) == (air.radio, (await air.state()).note)

    assert [NO_BUMBLE] == with_air(tmp_path, act)


def test_a_site_without_a_mesh_has_none(tmp_path):
    async def whole():
        air = Air(lambda _acted: None, print)
        wanted = begin(tmp_path)
        await air.start(replace(wanted, definition=replace(wanted.definition, air=None)))
        assert ("", NO_MESH) == (air.radio, (await air.state()).note)

    asyncio.run(whole())


def test_the_site_itself_needs_no_bumble():
    probe = """
import sys
sys.modules["bumble"] = None
import dunes.sim.site, dunes.sim.control, dunes.commands.sim, dunes.commands.sim_mesh
"""
    done = subprocess.run(
        [sys.executable, "-c", probe], check=False, capture_output=True, text=True
    )
    assert (0, "") == (done.returncode, done.stderr)
