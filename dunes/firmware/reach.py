"""Which nodes are there: those that were named, or all that the radio hears."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dunes.ble.errors import RadioLost
from dunes.errors import NotFound
from dunes.firmware.blelink import RadioTransport
from dunes.firmware.links import wired_transport
from dunes.firmware.smp import SmpNode
from dunes.firmware.target import Target, Way
from dunes.site import Site, resolve
from dunes.text import printable

if TYPE_CHECKING:
    from dunes.ble.radio import Advertisement, Radio

QUIET_S = 3.0
"""Nobody new for so long: all have been heard. A node advertises once a second or more often."""
LISTEN_S = 20.0
"""For a node that was named: many advertisements, one of which is heard even in a bad place."""
TWINS_S = 1.2
"""When all that were named have been heard, whether another one has the same name."""
NAME_MAX = 64


@dataclass(slots=True)
class Reached:
    """A node that can be asked.

    Attributes:
        smp: to ask it.
        way: how.
        simulated: whether it is virtual.
        named: somebody named it; else it was just heard.
    """

    smp: SmpNode
    way: Way
    simulated: bool
    named: bool


def wired(target: Target, site: Site | None) -> Reached:
    """Give a node on a serial line or a network.

    Raises:
        NotFound, Denied, ConfigError: the line.
    """
    host, port, simulated = target.address, target.port, False
    if target.way is Way.UDP:
        host, port, simulated = resolve(target.address, target.port, site)
    wired_transport(target, port)  # to hear now what is wrong with it
    node = SmpNode(target.text, lambda: wired_transport(target, port), host)
    return Reached(node, target.way, simulated, named=True)


async def by_radio(
    radio: "Radio", targets: Iterable[Target], timeout_s: float
) -> tuple[list[Reached], list[Target]]:
    """Listen for the nodes that were named, or for all.

    Args:
        radio: the adapter.
        targets: named ones; none: all that are heard.
        timeout_s: how long to listen at most.

    Returns:
        nodes in order of name, and targets that were not heard.

    Raises:
        NotFound: two nodes have one of the names.
    """
    wanted = list(targets)
    heard: dict[str, str] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s), radio.scan() as said:
            await _listen(said, heard, wanted, quiet_s=min(QUIET_S, timeout_s))
    slots = asyncio.Semaphore(radio.links_max)
    found, missing = [], []
    for target in wanted:
        addresses = [a for a, name in heard.items() if _is(target, a, name)]
        if len(addresses) > 1:
            raise NotFound(
                f"{len(addresses)} nodes are called {target.address}",
                hint=f"name one by its address: --device ble:{addresses[0].removesuffix('/P')}",
                code="name-twice",
            )
        if addresses:
            found.append(_reached(radio, slots, addresses[0], target.address, named=True))
        else:
            missing.append(target)
    if not wanted:
        found = [_reached(radio, slots, a, name or a, named=False) for a, name in heard.items()]
    return sorted(found, key=lambda node: node.smp.name), missing


async def _listen(
    said: "AsyncIterator[Advertisement]",
    heard: dict[str, str],
    wanted: list[Target],
    *,
    quiet_s: float,
) -> None:
    """Collect address and name of who is heard, until all wanted are, or nobody new is."""
    loop = asyncio.get_running_loop()
    new_s = loop.time()
    all_s: float | None = None
    while True:
        left_s = None if wanted else new_s + quiet_s - loop.time()
        if all_s is not None:
            left_s = all_s + TWINS_S - loop.time()
        try:
            async with asyncio.timeout(left_s):
                advertisement = await anext(said)
        except TimeoutError:
            return
        name = printable(advertisement.name or "", NAME_MAX)
        if not heard.get(advertisement.address):
            if name or advertisement.address not in heard:
                new_s = loop.time()
            heard[advertisement.address] = name
        if wanted and all(any(_is(t, a, n) for a, n in heard.items()) for t in wanted):
            if all(target.is_bluetooth_address for target in wanted):
                return
            all_s = all_s or loop.time()


def _is(target: Target, address: str, name: str) -> bool:
    if target.is_bluetooth_address:
        return address.upper().removesuffix("/P") == target.address.upper()
    return name == target.address


def _reached(
    radio: "Radio", slots: asyncio.Semaphore, address: str, name: str, *, named: bool
) -> Reached:
    node = SmpNode(name, lambda: RadioTransport(radio), address, slots=slots)
    return Reached(node, Way.BLE, radio.simulated, named)


def not_heard(target: Target, radio: "Radio", timeout_s: float) -> RadioLost:
    """Say that a node was not heard."""
    return RadioLost(
        f"node {target.address} was not heard by {radio.name} in {timeout_s:.3g} s",
        hint="is it powered, and in reach? dunes mesh-status names the nodes",
        code="node-not-heard",
    )
