"""The site's identity provider from run to run, and without what it needs."""

import asyncio
import socket
import sys

import httpx
import pytest

from dunes.errors import NotFound, UsageError
from dunes.sim.issuer import start_issuer
from dunes.sim.issuer_records import RECORDS_MAX, DeviceLogin, Records, User


def look(folder):
    """Run the issuer once, and give what others see of it."""

    async def run():
        async with start_issuer(folder, print) as issuer, httpx.AsyncClient() as client:
            keys = (await client.get(f"{issuer.url}/jwks")).json()
            return issuer.describe(), keys

    return asyncio.run(run())


def test_it_is_the_same_after_a_restart(tmp_path):
    first, keys = look(tmp_path)
    account = (tmp_path / "service-account.json").read_bytes()
    assert (first, keys) == look(tmp_path)
    assert account == (tmp_path / "service-account.json").read_bytes()
    assert "d" not in keys["keys"][0]


def test_a_port_that_somebody_took_is_left_to_them(tmp_path):
    first, _ = look(tmp_path)
    port = int(first["issuer"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        second, _ = look(tmp_path)
    assert first["issuer"] != second["issuer"]


def test_a_site_without_the_extra_has_none_and_says_so(tmp_path, monkeypatch):
    for name in list(sys.modules):
        if name.startswith("dunes.sim.issuer_") and name != "dunes.sim.issuer_records":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "authlib.oauth2.rfc6749", None)
    said = []

    async def run():
        async with start_issuer(tmp_path / "identity", said.append) as issuer:
            return issuer

    assert asyncio.run(run()) is None
    assert "pip install dunes-mcp[sim]" in said[0]
    assert not (tmp_path / "identity").exists()


def login(code, **more):
    return DeviceLogin("sakina", "", code, expires_s=100.0, interval_s=1.0, **more)


def test_the_only_login_needs_no_code_and_several_do():
    records = Records({})
    with pytest.raises(NotFound):
        records.decide("", User("ada"), 0.0, approve=True)
    records.devices["d1"] = login("AAAA")
    assert "AAAA" == records.decide("", User("ada"), 0.0, approve=True).user_code
    records.devices |= {"d2": login("BBBB"), "d3": login("CCCC")}
    with pytest.raises(UsageError, match="2 logins wait"):
        records.decide("", User("ada"), 0.0, approve=True)
    refused = records.decide(" cccc ", User("ada"), 0.0, approve=False)
    assert (User("ada"), False) == refused.decision
    with pytest.raises(NotFound):
        records.decide("CCCC", User("ada"), 0.0, approve=True)
    with pytest.raises(NotFound):
        records.decide("BBBB", User("ada"), 100.0, approve=True)


def test_a_flood_costs_the_oldest_records_not_the_memory():
    records = Records({})
    records.devices = {str(n): login(str(n)) for n in range(RECORDS_MAX + 5)}
    records.assertions = {"old": 1.0, "new": 9.0}
    records.tidy(5.0)
    assert (RECORDS_MAX, "5") == (len(records.devices), next(iter(records.devices)))
    assert {"new": 9.0} == records.assertions
