"""The identities of simulated devices: shipped, marked, and answered for."""

import asyncio
import http.client
import json

from dunes.authority.agent import request_answer
from dunes.authority.challenge import BadAnswer, Challenge, check_answer
from dunes.authority.jose import key_of
from dunes.clock import SYSTEM_CLOCK
from dunes.sim.agents import AGENT, FILE, device_key, devices_of, serve_agents
from dunes.sim.definition import load_definition


def serving(folder, ask):
    """Serve the lunar site's devices, and let `ask(host, port)` ask them."""

    async def run():
        async with serve_agents(load_definition("lunar"), folder) as endpoints:
            host, _, port = endpoints[AGENT].rpartition(":")
            return await asyncio.to_thread(ask, host, int(port))

    return asyncio.run(run())


def test_every_device_of_the_site_has_a_key_that_is_always_the_same(tmp_path):
    definition = load_definition("lunar")
    serving(tmp_path, lambda *_: None)
    listed = json.loads((tmp_path / FILE).read_text())
    assert (True, "lunar") == (listed["simulated"], listed["site"])
    assert set(devices_of(definition)) == set(listed["devices"])
    row = listed["devices"]["hab-sensor-001"]
    assert "lunar_telemetry" == row["table"]
    assert device_key(definition, "hab-sensor-001").public == key_of(row["jwk"])
    assert "priv" not in json.dumps(listed)
    assert device_key(load_definition("mars"), "hab-sensor-001").kid != row["jwk"]["kid"]


def test_the_agent_answers_for_each_device_with_its_own_key(tmp_path):
    now_s = SYSTEM_CLOCK.unix_us() // 1_000_000

    def ask(host, port):
        answers = {}
        for device in ("hab-sensor-001", "crew-004"):
            asked = Challenge(device, "0" * 32, device.encode().ljust(32), now_s, now_s + 60)
            answers[device] = asked, request_answer(host, port, asked.encode(), 5.0)
        return answers

    for device, (asked, said) in serving(tmp_path, ask).items():
        check_answer(asked, said, device_key(load_definition("lunar"), device).public, now_s)


def test_a_stranger_and_rubbish_are_refused(tmp_path):
    now_s = SYSTEM_CLOCK.unix_us() // 1_000_000
    stranger = Challenge("rover-777", "0" * 32, b"n" * 32, now_s, now_s + 60).encode()

    def ask(host, port):
        said = []
        for data in (stranger, b"{}"):
            try:
                request_answer(host, port, data, 5.0)
            except BadAnswer as e:
                said.append(e.message)
        statuses = []
        for method, path, body in (
            ("POST", "/v1/other", b"x"), ("POST", "/v1/challenge", b""), ("GET", "/", None),
            ("POST", "/v1/challenge", b"x" * 9000),
        ):  # fmt: skip
            connection = http.client.HTTPConnection(host, port, timeout=5)
            connection.request(method, path, body)
            statuses.append(connection.getresponse().status)
            connection.close()
        return said, statuses

    said, statuses = serving(tmp_path, ask)
    assert "400: there is no device rover-777 on this site" in said[0]
    assert "400: this is not a dunes.challenge/1" in said[1]
    assert [404, 413, 501, 413] == statuses
