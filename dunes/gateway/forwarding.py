"""Tell a mesh what linked devices measure, while somebody listens to it."""

import asyncio

from dunes.buffer.keyring import Keyring
from dunes.buffer.store import open_buffer
from dunes.clock import SYSTEM_CLOCK
from dunes.errors import StorageError, TryLater
from dunes.gateway.cdb import OUR_APP
from dunes.gateway.follower import Follower
from dunes.gateway.owner import Gateway
from dunes.gateway.profile import load_profile
from dunes.mesh.models.server import Raw
from dunes.text import printable
from dunes.uplink.target import gateway_name

LOOK_S = 0.5
"""Between two looks at the buffer: so long an alert may wait."""
TELEMETRY = "telemetry"


def telemetry_group(groups: dict[int, str]) -> int:
    """Give the group that a mesh's telemetry is published to: by its name, else our profile's."""
    named = [address for address, name in sorted(groups.items()) if name == TELEMETRY]
    return named[0] if named else load_profile().groups[TELEMETRY]


async def forward(gateway: Gateway) -> None:
    """Publish what comes into the buffer from now on, until it is cancelled.

    What is new is read also while no proxy carries messages; of it the newest waits.

    Args:
        gateway: the mesh, with a proxy kept; its `bridge` knows the links.

    Raises:
        NoIdentity, WrongPassphrase: sealed readings cannot be opened.
    """
    keys = Keyring.load(gateway.settings)
    name = gateway_name(gateway.settings, "" if keys.identity is None else keys.identity.kid)
    group = telemetry_group(gateway.store.groups())
    with open_buffer(gateway.settings, create=False) as buffer:
        follower = Follower(buffer, name, keys.opener_for(buffer))
        await asyncio.to_thread(follower.skip)
        troubled = False
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await _look(gateway, follower)
                await _send(gateway, group)
                troubled = False
            except StorageError as error:
                if not troubled:
                    gateway.note(f"linked devices: {error.message}; trying again")
                troubled = True


async def _look(gateway: Gateway, follower: Follower) -> None:
    bridge = gateway.bridge
    if not bridge.links:  # whoever is linked later speaks from then on
        await asyncio.to_thread(follower.skip)
        return
    before = follower.unreadable
    for reading in await asyncio.to_thread(follower.read, frozenset(bridge.links)):
        said = bridge.offer(reading, SYSTEM_CLOCK.unix_us())
        if said:
            gateway.note(printable(said, 200))
    bridge.skipped["unreadable"] += follower.unreadable - before


async def _send(gateway: Gateway, group: int) -> None:
    """Send what is due, if a proxy carries it now; no number of a report is given twice.

    Raises:
        StorageError: the numbers cannot be kept, and nothing was sent.
    """
    bridge, unicast = gateway.bridge, gateway.manager.stack.unicast
    reports = bridge.due(asyncio.get_running_loop().time()) if gateway.runner.online else []
    if not reports:
        return
    try:
        await asyncio.to_thread(gateway.store.save_sequences, dict(bridge.sequences))
    except StorageError:
        bridge.skipped["storage"] += len(reports)
        raise
    for report in reports:
        try:
            gateway.runner.send(
                group, Raw(report.payload), app_index=OUR_APP, src=unicast + report.element
            )
        except TryLater as error:
            bridge.skipped["queue"] += 1
            gateway.note(error.message)
