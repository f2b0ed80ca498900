"""What the mesh saw of its nodes, as evidence: replays, and messages that no key of ours made.

Whoever owns the mesh (`dunes mesh-listen`) counts them by their source, which has the
network key or the message would not have been opened that far. A look takes in what came
since the look before.
"""

import asyncio
import json
from pathlib import Path

from dunes.authority.standing import Event, Kind
from dunes.clock import SYSTEM_CLOCK
from dunes.errors import DunesError, NotFound
from dunes.gateway.standing import standing
from dunes.paths import Paths, write_atomic
from dunes.settings import Settings

FILE = "mesh-evidence.json"
KINDS = {"mesh-mic": Kind.BAD_MIC, "mesh-replay": Kind.REPLAY}
NOISE = 10
"""Fewer than this between two looks say nothing: messages that took two ways look the same."""


def gather(settings: Settings) -> list[Event]:
    """Look at the mesh's counters; give what is new and more than noise.

    Raises:
        NotFound: there is no mesh.
    """
    report = asyncio.run(standing(settings, None))
    if report.live is None:
        raise NotFound(
            f"nobody listens to {report.mesh_id} now: there is nothing to look at",
            hint="dunes mesh-listen",
            code="no-listener",
        )
    if report.live.simulated:
        return []  # what simulated nodes did says nothing about real ones
    return compare(settings.paths, report.mesh_id, report.live.suspects)


def compare(paths: Paths, mesh_id: str, suspects: dict[str, dict[str, int]]) -> list[Event]:
    """Compare counters with those of the last look, and remember them."""
    path = paths.state / FILE
    known = _remembered(path)
    before = known.setdefault(mesh_id, {})
    now_us, events = SYSTEM_CLOCK.unix_us(), []
    for node, counts in sorted(suspects.items()):
        for code, count in counts.items():
            kind, key = KINDS.get(code), f"{node}/{code}"
            since = before.get(key, 0)
            if since > count:
                since = 0  # the counters began anew
            if kind is None:
                continue
            before[key] = since  # what is noise now may grow to more
            if count - since >= NOISE:
                before[key] = count
                events.append(
                    Event(node, kind, now_us, count - since, reason="counted in the mesh")
                )
    write_atomic(path, json.dumps(known).encode())
    return events


def _remembered(path: Path) -> dict[str, dict[str, int]]:
    """Read the counters of the last look; none, if there was none or its memory is damaged."""
    try:
        body = json.loads(path.read_bytes())
        return {
            str(mesh): {str(key): int(count) for key, count in counts.items()}
            for mesh, counts in body.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def has_node(settings: Settings, device: str) -> bool:
    """Tell whether this gateway's mesh has a node of that name."""
    from dunes.gateway.store import MeshStore

    try:
        with MeshStore.open(settings, "", write=False) as store:
            return store.find(device) is not None
    except DunesError:
        return False
