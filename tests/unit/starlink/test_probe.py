"""Notes and hints of a probe, where the answers are odd; servers are the virtual ones."""

from collections.abc import Callable, Iterator

import pytest

from dunes.errors import UsageError
from dunes.sim.starlink import VirtualStarlink
from dunes.site import Site
from dunes.starlink.client import join_address, targets
from dunes.starlink.probe import Findings, probe
from dunes.starlink.setup import check_host

T0 = 1_800_000_000.0


@pytest.fixture
def probed() -> Iterator[Callable[..., Findings]]:
    """Probe the usual addresses, that lead where the test says."""
    running = []

    def look(
        starlink: VirtualStarlink, change=lambda endpoints: endpoints, roles=("dish", "router")
    ):
        running.append(starlink)
        site = Site("test", change(starlink.start()))
        addresses = {"dish": "192.168.100.1", "router": "192.168.1.1"}
        asked = [t for role in roles for t in targets(role, addresses[role], "auto", site)]
        return probe(asked, timeout_s=0.5, unix_s=T0)

    yield look
    for starlink in running:
        starlink.stop()


def test_a_dish_at_the_routers_address_is_known_by_its_answer(probed):
    def swapped(endpoints):
        return endpoints | {
            "192.168.1.1:9000": endpoints["192.168.100.1:9200"],
            "192.168.1.1:9001": endpoints["192.168.100.1:9201"],
        }

    findings = probed(VirtualStarlink(), swapped, roles=("router",))
    assert ["dish"] == list(findings.devices)
    assert findings.notes[0] == "192.168.1.1:9000 is a dish, not the router"


def test_a_bypassed_router_is_no_fault(probed):
    findings = probed(VirtualStarlink(bypassed=True))
    assert (findings.bypassed, list(findings.devices), findings.hints) == (True, ["dish"], ())


def test_a_router_that_the_dish_sees_and_we_do_not_is_told(probed):
    def without_router(endpoints):
        return endpoints | {k: "127.0.0.1:1" for k in endpoints if k.startswith("192.168.1.1")}

    findings = probed(VirtualStarlink(), without_router)
    assert not findings.bypassed
    assert "sees a router (Router-SIMULATED-00000001)" in findings.notes[0]
    assert any("--router-ip" in hint for hint in findings.hints)


def test_a_missing_dish_gets_the_way_to_it(probed):
    def without_dish(endpoints):
        closed = {k: "127.0.0.1:1" for k in endpoints if k.startswith("192.168.100.1")}
        return endpoints | closed

    findings = probed(VirtualStarlink(), without_dish)
    assert ["router"] == list(findings.devices)
    assert any("ip route add 192.168.100.1/32" in hint for hint in findings.hints)
    assert not any("sim up" in hint for hint in findings.hints)


def test_a_rebooting_dish_is_not_ready(probed):
    starlink = VirtualStarlink()
    starlink.reboot()
    findings = probed(starlink, roles=("dish",))
    assert ["unavailable"] * 2 == [v.verdict for v in findings.verdicts]


def test_verdicts_stand_in_the_order_asked(probed):
    findings = probed(VirtualStarlink())
    assert [
        "192.168.100.1:9200",
        "192.168.100.1:9201",
        "192.168.1.1:9000",
        "192.168.1.1:9001",
    ] == [v.address for v in findings.verdicts]
    assert findings.simulated


@pytest.mark.parametrize(
    "host", ["192.168.1.1", "fe80::1", "[2001:db8::1]", "router.lan", "dish", "xn--dish-1"]
)
def test_an_address_is_taken(host):
    assert check_host(host, "--router-ip") == host.strip("[]")


@pytest.mark.parametrize(
    "host",
    ["", "192.168.1.300", "1.2.3", "http://x", "x:9000", "a b", "-x", "x/y", "192.168.1.1/24"],
)
def test_what_is_no_address_is_refused(host):
    with pytest.raises(UsageError):
        check_host(host, "--router-ip")


def test_an_ipv6_address_gets_brackets_before_a_port():
    assert join_address("fe80::1", 9001) == "[fe80::1]:9001"
    assert join_address("192.168.1.1", 9001) == "192.168.1.1:9001"
