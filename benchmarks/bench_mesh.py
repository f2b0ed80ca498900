"""What the simulated site's mesh costs, and what can be done with it in which time.

    python benchmarks/bench_mesh.py [PART ...] [--nodes 200] [--quick]

    air     the process of the air: its CPU time idle, while a host scans, and with telemetry
            of all nodes on the air; and GATT connects of a Bumble host, one after another

The host is Bumble's, over HCI and TCP, in this process; the air is a process of its own, as
the site starts it. Connects have a baseline: Bumble's own link and one of its devices per
node, all in this process.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bumble import hci
from bumble.controller import Controller
from bumble.core import UUID
from bumble.device import Device, Peer
from bumble.gatt import Characteristic, Service
from bumble.link import LocalLink
from bumble.transport import open_transport

from dunes.mesh.keys import AppKeyRecord
from dunes.mesh.models.config import period_octet, transmit_octet
from dunes.mesh.models.node_config import ON, ModelConfig, NodeConfig, Publication
from dunes.mesh.nodestate import granted
from dunes.mesh.provisioning.crypto import Grant
from dunes.sim.air.keeper import Keeper, Kept
from dunes.sim.air.models import make_models
from dunes.sim.air.roster import roster
from dunes.sim.air.talk import Begin
from dunes.sim.airprocess import Air
from dunes.sim.definition import load_definition

PROVISIONING, DATA_OUT = UUID.from_16_bits(0x1827), UUID.from_16_bits(0x2ADC)
TICKS = os.sysconf("SC_CLK_TCK")
GROUP = 0xC000
PERIOD_S = 10.0
RELAYS = 12
"""As a plan with redundancy 4 has them on 200 nodes."""


def cpu_s(pid):
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextlib.asynccontextmanager
async def air_of(definition, folder, nodes):
    """The air as the site runs it."""
    air = Air(lambda *_: None, print)
    now_us = time.time_ns() // 1000
    begin = Begin(definition, str(folder), now_us, ((now_us, now_us, 1.0),), nodes)
    begin_s = time.perf_counter()
    await air.start(begin)
    print(f"  {nodes} nodes are up after {time.perf_counter() - begin_s:.2f} s")
    try:
        yield air
    finally:
        await air.stop()


@contextlib.asynccontextmanager
async def host_of(radio):
    """A Bumble host on the gateway's controller."""
    transport = await open_transport(f"tcp-client:{radio}")
    address = hci.Address("F0:F1:F2:F3:F4:F5")
    device = Device.with_hci("bench", address, transport.source, transport.sink)
    await device.power_on()
    try:
        yield device
    finally:
        await transport.close()


async def share(air, seconds):
    """The part of a core that the air takes."""
    pid = air.pid
    begin_s, begin_cpu_s = time.perf_counter(), cpu_s(pid)
    await asyncio.sleep(seconds)
    return (cpu_s(pid) - begin_cpu_s) / (time.perf_counter() - begin_s)


async def connect_once(device, address):
    """Connect, agree on the MTU, find the service, subscribe, hang up."""
    connection = await device.connect(address, timeout=10)
    peer = Peer(connection)
    await peer.request_mtu(247)
    (service,) = await peer.discover_service(PROVISIONING)
    (out,) = await service.discover_characteristics([DATA_OUT])
    await peer.discover_descriptors(out)
    await peer.subscribe(out, lambda _value: None)
    await connection.disconnect()


async def connect_all(device, addresses):
    """Connect to each, one after another; the seconds that each took."""
    took = []
    for address in addresses:
        begin_s = time.perf_counter()
        await connect_once(device, address)
        took.append(time.perf_counter() - begin_s)
    return took


def tell(what, took):
    took = sorted(took)
    rest = f"median {statistics.median(took) * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms"
    print(f"  {what}: {len(took)} in {sum(took):.1f} s, {rest}")


async def stock_connects(nodes):
    """The baseline: Bumble's own link, a whole device for each node, the same interval."""
    link = LocalLink()
    addresses = []
    for number in range(nodes):
        address = hci.Address(bytes([number & 255, number >> 8, 1, 2, 3, 0xC3]), 1)
        controller = Controller(f"n{number}", link=link)
        device = Device.with_hci(f"n{number}", address, controller, controller)
        out = Characteristic(DATA_OUT, Characteristic.Properties.NOTIFY, 0, b"")
        device.add_service(Service(PROVISIONING, [out]))
        await device.power_on()
        await device.start_advertising(
            advertising_interval_min=152.5, advertising_interval_max=152.5, auto_restart=True
        )
        addresses.append(address)
    controller = Controller("central", link=link)
    own = hci.Address("F0:F1:F2:F3:F4:F5")
    central = Device.with_hci("central", own, controller, controller)
    await central.power_on()
    return await connect_all(central, addresses)


def set_up(definition, folder, nodes):
    """Write down nodes that are provisioned, and publish by themselves."""
    keeper, net, app = Keeper(folder), bytes(range(16)), bytes(range(16, 32))
    relays = 0
    for number, member in enumerate(roster(definition, nodes)):
        grant = Grant(net, 0, False, False, 0, 0x0002 + 4 * number)
        state = granted(grant, member.uuid, NodeConfig())
        relay = member.kind.relay and relays < RELAYS
        relays += relay
        models = []
        made = make_models(member.kind.elements, lambda _kind: None, lambda *_: None)
        for element, servers in enumerate(made.elements):
            for server in servers:
                says = type(server).__name__ in ("MeasuringServer", "ReportingServer")
                publication = Publication(GROUP, period=period_octet(PERIOD_S)) if says else None
                models.append(ModelConfig(element, server.identity, (0,), publication))
        config = NodeConfig(
            relay=ON if relay else 0,
            network_transmit=transmit_octet(3, 0.02),
            default_ttl=7,
            models=tuple(models),
        )
        keys = replace(state.stack.keys, apps=(AppKeyRecord(0, 0, app, None),))
        state = replace(state, stack=replace(state.stack, keys=keys), config=config)
        keeper.kept[member.name] = Kept(state=state, saved_us=time.time_ns() // 1000)
        keeper.write(member.name)


async def air(given):
    """Measure the air."""
    definition = load_definition("lunar")
    seconds = 3 if given.quick else 10
    members = roster(definition, given.nodes)
    addresses = [
        hci.Address(member.address[::-1], hci.Address.RANDOM_DEVICE_ADDRESS) for member in members
    ]
    with tempfile.TemporaryDirectory() as folder:
        async with air_of(definition, Path(folder) / "new", given.nodes) as running:
            print(
                f"  idle, all unprovisioned: {100 * await share(running, seconds):.1f} % of a core"
            )
            async with host_of(running.radio) as device:
                await device.start_scanning(active=True)
                part = await share(running, seconds)
                print(f"  while a host scans: {100 * part:.1f} % of a core")
                await device.stop_scanning()
                pid = running.pid
                before_s = cpu_s(pid)
                took = await connect_all(device, addresses)
                tell("connects", took)
                print(
                    f"  CPU of the air for a connect: {(cpu_s(pid) - before_s) / len(took):.4f} s"
                )
        count = min(given.nodes, 20 if given.quick else 40)
        tell("baseline, Bumble's own link", await stock_connects(count))
        set_up(definition, Path(folder) / "set-up", given.nodes)
        async with air_of(definition, Path(folder) / "set-up", given.nodes) as running:
            await asyncio.sleep(PERIOD_S)
            before = await running.state()
            part = await share(running, 2 * seconds)
            after = await running.state()
            sent = sum(n.publications for n in after.nodes.values()) - sum(
                n.publications for n in before.nodes.values()
            )
            print(
                f"  all provisioned, {sent / 2 / seconds:.0f} publications/s, {RELAYS} relays: "
                f"{100 * part:.1f} % of a core"
            )


PARTS = {"air": air}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    for name in given.parts or PARTS:
        print(name)
        asyncio.run(PARTS[name](given))


if __name__ == "__main__":
    main()
