"""What the mesh saw of its nodes, as evidence: replays, and messages that no key of ours made.

Whoever owns the mesh (`dunes mesh-listen`) counts them by their source, which has the
network key or the message would not have been opened that far. A look takes in what came
since the look before.
"""

import asyncio
import json
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the mesh's counters showed.

    Attributes:
        events: what is new and more than noise.
        simulated: the nodes are those of a simulated site, which say nothing about real ones.
        path: where the counters are remembered.
        counters: by mesh, then by node and code, as they are to be remembered.
    """

    events: list[Event]
    simulated: bool
    path: Path
    counters: dict[str, dict[str, int]]

    def remember(self) -> None:
        """Count these events no more: they are in the ledger now."""
        write_atomic(self.path, json.dumps(self.counters).encode())


def gather(settings: Settings) -> Look:
    """Look at the mesh's counters; nothing is remembered yet.

    Raises:
        NotFound: there is no mesh, or nobody listens to it.
    """
    report = asyncio.run(standing(settings, None))
    if report.live is None:
        raise NotFound(
            f"nobody listens to {report.mesh_id} now: there is nothing to look at",
            hint="dunes mesh-listen",
            code="no-listener",
        )
    simulated = report.live.simulated
    suspects = {} if simulated else report.live.suspects
    return compare(settings.paths, report.mesh_id, suspects, simulated=simulated)


def compare(
    paths: Paths, mesh_id: str, suspects: dict[str, dict[str, int]], *, simulated: bool = False
) -> Look:
    """Compare counters with those of the last look."""
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
    return Look(events, simulated, path, known)


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
