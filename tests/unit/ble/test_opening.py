"""Which radio is used, how it is named, and what is said where it cannot be."""

import asyncio

import pytest

from dunes.ble.opening import choose_radio, open_radio, using_radio
from dunes.ble.spec import EXAMPLES, HOST_SIDE, RadioSpec, parse_radio
from dunes.errors import ConfigError, UsageError
from dunes.paths import find_paths
from dunes.settings import load
from dunes.site import Site

from .hcipeer import UNPROVISIONED, Air

SITE = Site("lunar", radio="127.0.0.1:4711")


@pytest.fixture
def settings(tmp_path):
    def read(**environ):
        env = {"DUNES_HOME": str(tmp_path)} | environ
        return load(env, paths=find_paths(env), folder=tmp_path)

    return read


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("bluez", RadioSpec("bluez")),
        (" bluez:hci12 ", RadioSpec("bluez", "hci12")),
        ("hci:usb:0", RadioSpec("hci", "usb:0")),
        ("hci:serial:/dev/ttyACM0", RadioSpec("hci", "serial:/dev/ttyACM0")),
        (
            "hci:serial:/dev/ttyS1,115200,rtscts",
            RadioSpec("hci", "serial:/dev/ttyS1,115200,rtscts"),
        ),
        ("hci:tcp-client:[::1]:9000", RadioSpec("hci", "tcp-client:[::1]:9000")),
        ("hci:hci-socket:0", RadioSpec("hci", "hci-socket:0")),
    ],
)
def test_a_radio_is_read_and_written_as_people_type_it(text, spec):
    assert spec == parse_radio(text)
    assert text.strip() == str(spec)


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("", "a radio is bluez or hci:…", EXAMPLES),
        ("wifi", "a radio is bluez or hci:…", EXAMPLES),
        ("hci0", "it has no kind", "bluez:hci0"),
        ("bluez:", "'' is no adapter", "bluez:hci0"),
        ("bluez:wlan0", "'wlan0' is no adapter", "bluez:hci0"),
        ("hci:", "'' is not one of serial", "hci:serial:"),
        ("hci:bluetooth", "'bluetooth' is not one of serial", "hci:serial:"),
        ("hci:tcp-server:127.0.0.1:1", "'tcp-server' is not one of", "hci:serial:"),
        ("hci:usb", "says not what to open", "hci:usb:0"),
        ("hci:tcp-client:9000", "is not HOST:PORT", "hci:tcp-client:127.0.0.1:9000"),
        ("hci:tcp-client:host:x", "is not HOST:PORT", "hci:tcp-client:127.0.0.1:9000"),
        ("hci:tcp-client:host:0", "no port 0", "hci:tcp-client:127.0.0.1:9000"),
        ("hci:tcp-client:host:70000", "no port 70000", "hci:tcp-client:127.0.0.1:9000"),
        ("hci:serial:ttyACM0", "no path of a device", "hci:serial:/dev/ttyACM0,1000000"),
        ("hci:serial:/dev/ttyACM0,fast", "neither a speed nor", "hci:serial:/dev/ttyACM0"),
        ("hci:hci-socket:hci0", "no number of an adapter", "hci:hci-socket:0"),
        ("bluez:\x1b[2J", r"\\x1b", "bluez:hci0"),
    ],
)
def test_what_names_no_radio_is_refused_with_the_part_that_is_wrong(text, why, hint):
    with pytest.raises(UsageError) as e:
        parse_radio(text)
    assert why.replace("\\\\", "\\") in e.value.message
    assert e.value.hint.startswith(hint)
    assert "\x1b" not in e.value.message


@pytest.mark.parametrize("moniker", HOST_SIDE.values())
def test_every_example_in_the_hints_can_be_read(moniker):
    assert RadioSpec("hci", moniker) == parse_radio(f"hci:{moniker}")


def test_the_order_of_choice_is_option_variable_file_site_default(settings, tmp_path):
    def chosen(text, site, **environ):
        choice = choose_radio(text, settings(**environ), site)
        return str(choice.spec), choice.origin, choice.simulated

    site = ("hci:tcp-client:127.0.0.1:4711", "simulated site", True)
    assert ("bluez", "default", False) == chosen(None, None)
    assert ("bluez", "default", False) == chosen(None, Site("old"))  # a site without a radio
    assert site == chosen(None, SITE)
    (tmp_path / "profile.json").write_text('{"mesh": {"ble": "bluez:hci1"}}')
    assert ("bluez:hci1", str(tmp_path / "profile.json"), False) == chosen(None, SITE)
    assert ("hci:usb:0", "DUNES_BLE", False) == chosen(None, SITE, DUNES_BLE="hci:usb:0")
    assert ("bluez", "--ble", False) == chosen("bluez", SITE, DUNES_BLE="hci:usb:0")
    assert (site[0], "--ble", True) == chosen(site[0], SITE)  # the site's, whoever names it


def test_a_wrong_setting_says_where_it_stands(settings):
    with pytest.raises(ConfigError, match=r"^DUNES_BLE: mesh\.ble: hci9: it has no kind") as e:
        choose_radio(None, settings(DUNES_BLE="hci9"), None)
    assert (78, "bluez:hci9") == (e.value.exit, e.value.hint)


def test_the_sites_radio_is_opened_where_a_site_is_up(run, settings):
    async def story():
        async with Air() as air:
            node = await air.node()
            await node.start()
            site = Site("lunar", radio=f"127.0.0.1:{air.tcp.port}")
            async with using_radio(None, settings=settings(), site=site) as radio:
                assert radio.simulated
                assert f"hci:{air.moniker} (simulated)" == radio.name
                async with radio.scan() as heard:
                    assert UNPROVISIONED == (await anext(heard)).unprovisioned
            await asyncio.sleep(0.05)
            radio = await open_radio(f"hci:{air.moniker}", settings=settings(), site=None)
            assert not radio.simulated
            await radio.close()

    run(story())


def test_without_bumble_the_extra_is_named(run, monkeypatch, settings):
    import sys

    monkeypatch.setitem(sys.modules, "bumble.device", None)
    with pytest.raises(ConfigError, match="needs Bumble") as e:
        run(open_radio("hci:usb:0", settings=settings()))
    assert ("pip install 'dunes-mcp[hci]'", "no-bumble") == (e.value.hint, e.value.code)
