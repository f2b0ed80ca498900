"""The identities of a simulated site's devices, and the agent that answers for them.

Each device has a key made from the site's seed: anyone can make the same one, so these
keys prove something about a simulated device, and nothing about a real one. They are
listed beside the site's files, marked simulated, and never enter a trust store.
"""

import asyncio
import contextlib
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from dunes.authority.agent import PORT, AgentServer
from dunes.authority.challenge import BadAnswer, answer, read_challenge
from dunes.authority.jose import jwk_of
from dunes.clock import SYSTEM_CLOCK, US_PER_S
from dunes.crypto.signing import SEED_BYTES, SigningKey
from dunes.paths import write_atomic
from dunes.sim.definition import SiteDefinition

FILE = "devices.json"
SCHEMA = "dunes.simulated-devices/1"
AGENT = f"device-agent:{PORT}"
"""The address that the site plays."""


def device_key(definition: SiteDefinition, device: str) -> SigningKey:
    """Make a simulated device's key: always the same, and nobody's secret."""
    text = f"dunes/simulated/{definition.name}/{definition.seed}/{device}"
    return SigningKey.from_seed(hashlib.sha256(text.encode()).digest()[:SEED_BYTES])


def devices_of(definition: SiteDefinition) -> dict[str, str]:
    """Give each device of a site with its table."""
    return {
        spec.device_name(place): spec.table
        for spec in definition.sources
        for place in range(1, spec.count + 1)
    }


def describe(definition: SiteDefinition, keys: Mapping[str, SigningKey]) -> bytes:
    """Write the public list of a site's devices."""
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "simulated": True,
        "site": definition.name,
        "devices": {
            device: {"table": table, "jwk": jwk_of(keys[device].public)}
            for device, table in devices_of(definition).items()
        },
    }
    return json.dumps(body, indent=1).encode("utf-8") + b"\n"


@contextlib.asynccontextmanager
async def serve_agents(definition: SiteDefinition, folder: Path) -> AsyncIterator[dict[str, str]]:
    """Answer for all devices of a site until the block is left; give the endpoint."""
    keys = {device: device_key(definition, device) for device in devices_of(definition)}

    def answer_for(data: bytes) -> bytes:
        device = read_challenge(data).device
        if device not in keys:
            raise BadAnswer(f"there is no device {device} on this site")
        return answer(data, device, keys[device], SYSTEM_CLOCK.unix_us() / US_PER_S)

    write_atomic(folder / FILE, describe(definition, keys), mode=0o644)
    server = AgentServer("127.0.0.1", 0, answer_for)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield {AGENT: f"127.0.0.1:{server.server_port}"}
    finally:
        await asyncio.to_thread(server.shutdown)
        thread.join()
        server.server_close()
