"""How things stand on this gateway: link, mesh, queue, destinations. Reads, never writes.

Each part asks its own room; this one only puts the answers side by side.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dunes.clock import SYSTEM_CLOCK, US_PER_S, Clock, rfc3339
from dunes.errors import ConfigError, NotFound
from dunes.model import Priority
from dunes.settings import Settings
from dunes.site import Site, running_site

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dunes.buffer.store import Buffer, Stream

LINK_TIMEOUT_S = 2.0
NO_MESH = "no mesh yet"


@dataclass(frozen=True, slots=True)
class LinkPart:
    """The Starlink link, as `dunes starlink-status` tells it in full."""

    state: str
    cause: str
    since: str
    degraded: tuple[str, ...]
    simulated: bool


@dataclass(frozen=True, slots=True)
class MeshPart:
    """The Bluetooth mesh.

    Attributes:
        id: its configured name; empty if none was given.
        state: `no mesh yet`, `7 of 20 nodes configured`, …
        nodes: how many are known.
        configured: how many of them are what they shall be.
        owner: the command that uses it now; empty: nobody.
    """

    id: str
    state: str
    nodes: int = 0
    configured: int = 0
    owner: str = ""


@dataclass(frozen=True, slots=True)
class LanePart:
    """One lane of a table: what waits for a ground station.

    Attributes:
        lane: `alert`, `warning` or `routine`.
        readings: how many are stored here, over all epochs.
        frames: the frames that hold them.
        size_bytes: what those take.
        oldest_age_s: age of the oldest reading; null if there is none, 0 if its clock is
            ahead of ours.
        dropped_readings: given up when the buffer was full, since ever.
        refused_readings: never taken, for want of room, since ever.
    """

    lane: str
    readings: int
    frames: int
    size_bytes: int
    oldest_age_s: float | None
    dropped_readings: int
    refused_readings: int


@dataclass(frozen=True, slots=True)
class TablePart:
    """One table of the buffer."""

    table: str
    lanes: tuple[LanePart, ...]


@dataclass(frozen=True, slots=True)
class WaitingPart:
    """What a destination has not acknowledged of one table."""

    table: str
    frames: int


@dataclass(frozen=True, slots=True)
class DestinationPart:
    """A ground station.

    Attributes:
        name: as in the profile.
        url: where it is; empty if the profile does not know it any more.
        last_receipt: when it last acknowledged anything, RFC 3339; empty if never.
        last_receipt_age_s: how long ago; null if never.
        waiting: frames it has not acknowledged, by table.
        simulated: it belongs to the simulated site.
    """

    name: str
    url: str
    last_receipt: str
    last_receipt_age_s: float | None
    waiting: tuple[WaitingPart, ...]
    simulated: bool


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand.

    Attributes:
        at: when this was found, RFC 3339.
        gateway: its name; empty if it has none yet.
        site: the simulated site in use; empty if none is up.
        link: the satellite link.
        held_until: end of a rehearsed outage that holds the uplink; empty if there is none.
        mesh: the Bluetooth mesh.
        tables: what waits, by table.
        destinations: where it goes.
    """

    at: str
    gateway: str
    site: str
    link: LinkPart
    held_until: str
    mesh: MeshPart
    tables: tuple[TablePart, ...]
    destinations: tuple[DestinationPart, ...]


def look(
    settings: Settings, *, timeout_s: float = LINK_TIMEOUT_S, clock: Clock = SYSTEM_CLOCK
) -> Status:
    """Ask every room once.

    Raises:
        StorageError: the buffer cannot be read.
    """
    from dunes.uplink.hold import held

    site = running_site(settings.paths)
    now_us = clock.unix_us()
    hold = held(settings.paths, now_us)
    tables, destinations = _buffer_parts(settings, site, now_us)
    return Status(
        at=rfc3339(now_us),
        gateway=_gateway(settings),
        site=site.name if site is not None else "",
        link=_link(settings, site, timeout_s),
        held_until=rfc3339(hold.until_us) if hold is not None else "",
        mesh=_mesh(settings),
        tables=tables,
        destinations=destinations,
    )


def _gateway(settings: Settings) -> str:
    if settings["gateway.id"]:
        return str(settings["gateway.id"])
    from dunes.crypto.errors import NoIdentity
    from dunes.crypto.identity import load_identity

    try:
        return f"gw-{load_identity(settings.paths).kid[:12]}"
    except NoIdentity:
        return ""


def _mesh(settings: Settings) -> MeshPart:
    from dunes.gateway.store import MeshStore
    from dunes.mesh.managerstate import Progress

    try:
        with MeshStore.open(settings, write=False) as store:
            views, owner = store.views(), store.written_by or ""
            name = store.mesh_id
    except (NotFound, ConfigError):
        return MeshPart(settings["mesh.id"], NO_MESH)
    configured = sum(view.progress == Progress.CONFIGURED for view in views)
    state = f"{configured} of {len(views)} nodes configured"
    return MeshPart(name, state, len(views), configured, owner)


def _link(settings: Settings, site: Site | None, timeout_s: float) -> LinkPart:
    from dunes.starlink.link import link_watch

    watch = link_watch(settings, site, timeout_s=timeout_s)
    try:
        status = watch.poll()
    finally:
        watch.close()
    return LinkPart(status.state, status.cause, status.since, status.degraded, status.simulated)


def _buffer_parts(
    settings: Settings, site: Site | None, now_us: int
) -> tuple[tuple[TablePart, ...], tuple[DestinationPart, ...]]:
    from dunes.buffer.store import open_buffer

    known: dict[str, Mapping[str, Any]] = dict(settings["uplink.destinations"])
    simulated = site.destinations if site is not None else {}
    known |= simulated
    try:
        buffer = open_buffer(settings, create=False)
    except NotFound:
        return (), tuple(
            DestinationPart(name, str(row.get("url", "")), "", None, (), name in simulated)
            for name, row in sorted(known.items())
        )
    with buffer, buffer.reading() as connection:
        streams = _by_table(connection)
        tables = tuple(
            TablePart(table, _lanes(buffer, connection, found, now_us))
            for table, found in sorted(streams.items())
        )
        receipts = _receipts(connection)
        destinations = tuple(
            _destination(
                buffer,
                connection,
                streams,
                name,
                url=str(known.get(name, {}).get("url", "")),
                last_us=receipts.get(name),
                now_us=now_us,
                simulated=name in simulated,
            )
            for name in sorted({*known, *receipts})
        )
    return tables, destinations


def _by_table(connection: "Connection") -> dict[str, list["Stream"]]:
    from sqlalchemy import select

    from dunes.buffer.schema import stream
    from dunes.buffer.store import Stream

    found: dict[str, list[Stream]] = {}
    for row in connection.execute(select(stream).order_by(stream.c.id)):
        each = Stream(*row)
        found.setdefault(each.table, []).append(each)
    return found


def _lanes(
    buffer: "Buffer", connection: "Connection", streams: Iterable["Stream"], now_us: int
) -> tuple[LanePart, ...]:
    from sqlalchemy import func, select

    from dunes.buffer.schema import frame

    ids = [stream.id for stream in streams]
    parts = []
    for priority in Priority:
        lanes = [buffer.lane(connection, id_, priority) for id_ in ids]
        # the first frame of each stream's lane, by the primary key: no walk over the others
        oldest = [
            connection.execute(
                select(func.min(frame.c.ts_min)).where(
                    frame.c.stream_id == lane.stream_id,
                    frame.c.lane == int(priority),
                    frame.c.no == lane.base_no + 1,
                )
            ).scalar()
            for lane in lanes
        ]
        begun = [ts_us for ts_us in oldest if ts_us is not None]
        parts.append(
            LanePart(
                priority.name.lower(),
                readings=sum(lane.msgs for lane in lanes),
                frames=sum(lane.frames for lane in lanes),
                size_bytes=sum(lane.size_bytes for lane in lanes),
                oldest_age_s=max(0.0, (now_us - min(begun)) / US_PER_S) if begun else None,
                dropped_readings=sum(lane.dropped_msgs for lane in lanes),
                refused_readings=sum(lane.refused_msgs for lane in lanes),
            )
        )
    return tuple(parts)


def _receipts(connection: "Connection") -> dict[str, int]:
    from sqlalchemy import func, select

    from dunes.buffer.schema import receipt

    rows = connection.execute(
        select(receipt.c.destination, func.max(receipt.c.ts_us)).group_by(receipt.c.destination)
    )
    return {str(row[0]): int(row[1]) for row in rows}


def _destination(
    buffer: "Buffer",
    connection: "Connection",
    streams: Mapping[str, Iterable["Stream"]],
    name: str,
    *,
    url: str,
    last_us: int | None,
    now_us: int,
    simulated: bool,
) -> DestinationPart:
    from sqlalchemy import select

    from dunes.buffer.schema import ack

    rows = connection.execute(
        select(ack.c.stream_id, ack.c.lane, ack.c.cum_no).where(ack.c.destination == name)
    )
    acked = {(stream_id, lane): cum_no for stream_id, lane, cum_no in rows}
    waiting = []
    for table, found in sorted(streams.items()):
        frames = 0
        for stream in found:
            for priority in Priority:
                lane = buffer.lane(connection, stream.id, priority)
                cum_no = acked.get((stream.id, int(priority)), 0)
                frames += max(0, lane.last_no - max(cum_no, lane.base_no))
        waiting.append(WaitingPart(table, frames))
    return DestinationPart(
        name,
        url,
        rfc3339(last_us) if last_us is not None else "",
        (now_us - last_us) / US_PER_S if last_us is not None else None,
        tuple(waiting),
        simulated,
    )
