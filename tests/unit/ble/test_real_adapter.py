"""The same promises on a real adapter: `--have=ble-adapter`, the adapter named by DUNES_BLE.

Nothing is provisioned or written: a node that is heard is connected to and left again.
"""

import time

import pytest

from dunes.ble.errors import RadioLost
from dunes.ble.opening import using_radio
from dunes.ble.radio import Service

LISTEN_S = 12.0


@pytest.fixture(autouse=True)
def real_adapter(request):
    if "ble-adapter" not in request.config.getoption("--have"):
        pytest.skip("needs a Bluetooth adapter: give --have=ble-adapter, and DUNES_BLE")


async def hear(radio):
    """Give the nodes that are heard, the loudest first."""
    import asyncio

    nodes = {}
    try:
        async with asyncio.timeout(LISTEN_S), radio.scan() as heard:
            async for said in heard:
                nodes[said.address] = said
    except TimeoutError:
        return sorted(nodes.values(), key=lambda said: said.rssi_dbm or -127, reverse=True)


def test_a_real_adapter_scans_twice_and_reaches_what_it_hears(run):
    async def story():
        async with using_radio(None) as radio:
            assert not radio.simulated
            await hear(radio)
            nodes = await hear(radio)
            if not nodes:
                pytest.skip("no mesh node is in reach of this adapter")
            node = nodes[0]
            service = Service.PROVISIONING if node.unprovisioned else Service.PROXY
            link = await radio.connect(node.address, service, timeout_s=30)
            assert 20 <= link.room_bytes
            await link.close()

    run(story(), 90)


def test_a_real_adapter_gives_up_in_time(run):
    async def story():
        async with using_radio(None) as radio:
            began_s = time.monotonic()
            with pytest.raises(RadioLost):
                await radio.connect("C0:FF:EE:00:00:01", Service.PROXY, timeout_s=5)
            assert 10 > time.monotonic() - began_s

    run(story())
