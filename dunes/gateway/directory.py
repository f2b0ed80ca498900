"""What anybody may see of a mesh in the database, beside its writer and without its keys."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from dunes.buffer.store import Buffer
from dunes.gateway import rows, tables
from dunes.gateway.devicelinks import DeviceLink
from dunes.gateway.groups import Group, Label
from dunes.gateway.lock import holder_of
from dunes.gateway.naming import NodeName, element_name, find_address, mesh_table
from dunes.mesh.managerstate import NodeGone
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.paths import Paths


def lock_path(paths: Paths, mesh_id: str) -> Path:
    """Say which file the writer of a mesh locks."""
    return paths.runtime / f"mesh-{mesh_id}.lock"


def mark_path(paths: Paths, mesh_id: str) -> Path:
    """Say where the mark of a mesh is."""
    return paths.state / "mesh" / f"{mesh_id}.mark"


@dataclass(frozen=True, slots=True)
class NodeView(NodeName):
    """A node as anybody may see it: no key.

    Attributes:
        net_index: the subnet it was provisioned into.
        progress: 1 granted, 2 provisioned, 3 configured.
        step: steps of its plan that are done.
        composition: page 0, or empty.
        settings: what was configured; empty if unknown.
        added_us: when it was granted its address.
        seen_us: when it was last heard; None if never.
    """

    net_index: int
    progress: int
    step: int
    composition: bytes
    settings: dict[str, Any]
    added_us: int
    seen_us: int | None


@dataclass(slots=True, repr=False)
class Directory:
    """The nodes and groups of one mesh.

    Attributes:
        network: the mesh's own row as it was when this was opened.
        buffer: the database.
        paths: where lock and mark are.
    """

    network: rows.Network
    buffer: Buffer
    paths: Paths
    _known: list[NodeName] = field(default_factory=list, init=False)
    _named: dict[int, str] = field(default_factory=dict, init=False)

    @property
    def mesh_id(self) -> str:
        """The mesh's name."""
        return self.network.name

    @property
    def uuid(self) -> bytes:
        """The mesh's UUID, 16 bytes."""
        return self.network.uuid

    @property
    def table(self) -> str:
        """The buffer table that its readings go to."""
        return mesh_table(self.network.name)

    @property
    def written_by(self) -> str | None:
        """Say who writes this mesh now; None if nobody does."""
        return holder_of(self.lock_path)

    @property
    def lock_path(self) -> Path:
        """The file that the writer locks."""
        return lock_path(self.paths, self.mesh_id)

    @property
    def mark_path(self) -> Path:
        """The file that says how far the mesh is."""
        return mark_path(self.paths, self.mesh_id)

    def views(self) -> list[NodeView]:
        """Give all nodes without their keys, in order of their addresses.

        Other provisioners are none that we set up: they are left out.
        """
        node = tables.node.c
        query = (
            select(node.unicast, node.elements, node.uuid, node.name, node.net_index)
            .add_columns(node.progress, node.step, node.composition, node.settings)
            .add_columns(node.added_us, node.seen_us)
            .where(node.network_id == self.network.id)
            .order_by(node.unicast)
        )
        with self.buffer.reading() as connection:
            found = connection.execute(query).fetchall()
        return [_view(row) for row in found if not rows.is_other(row.settings)]

    def find(self, text: str) -> tuple[NodeName, int]:
        """Find the node, and the address of its element, that somebody means.

        Args:
            text: a name, a name with an element's number (`hab-1.1`), `0x0005`, or a UUID.

        Raises:
            NotFound: none; the hint has the nearest.
            UsageError: several are called so.
        """
        return find_address(self._nodes(), text)

    def name_of(self, address: int) -> str:
        """Name an element of a node, also of one that is not known: `node-0005`."""
        named = self._named
        if not named:
            self._named = named = {
                each: element_name(node, each)
                for node in self._nodes()
                for each in range(node.unicast, node.unicast + node.elements)
            }
        found = named.get(address)
        return NodeName(address, 1, b"", "").shown if found is None else found

    def _nodes(self) -> list[NodeName]:
        known = self._known
        if not known:
            node = tables.node.c
            query = (
                select(node.unicast, node.elements, node.uuid, node.name)
                .where(node.network_id == self.network.id)
                .order_by(node.unicast)
            )
            with self.buffer.reading() as connection:
                found = connection.execute(query).fetchall()
            self._known = known = [NodeName(*row) for row in found]
        return known

    def _forget_names(self) -> None:
        self._known, self._named = [], {}

    def groups(self) -> dict[int, str]:
        """Give the names of groups by address."""
        return {each.address: each.name for each in self.all_groups()}

    def all_groups(self) -> list[Group]:
        """Give the groups, in order of their addresses."""
        group = tables.group.c
        query = (
            select(group.address, group.name, group.parent)
            .where(group.network_id == self.network.id)
            .order_by(group.address)
        )
        with self.buffer.reading() as connection:
            return [Group(*row) for row in connection.execute(query)]

    def labels(self) -> dict[bytes, str]:
        """Give the names of virtual addresses by Label UUID; see `Manager.listen`."""
        return {each.uuid: each.name for each in self.all_labels()}

    def all_labels(self) -> list[Label]:
        """Give the virtual addresses."""
        label = tables.label.c
        query = (
            select(label.uuid, label.address, label.name)
            .where(label.network_id == self.network.id)
            .order_by(label.uuid)
        )
        with self.buffer.reading() as connection:
            return [Label(bytes(row[0]), row[1], row[2]) for row in connection.execute(query)]

    def links(self) -> list[DeviceLink]:
        """Give the elements of ours that are or were some device's, in their order."""
        with self.buffer.reading() as connection:
            return rows.load_links(connection, self.network.id)

    def linked(self) -> dict[str, int]:
        """Give the elements of ours by the devices that speak by them."""
        return {each.device: each.element for each in self.links() if each.device}

    def alerts(self) -> list[bytes]:
        """Give the fingerprints of the newest alerts that were kept, in their order."""
        with self.buffer.reading() as connection:
            return rows.load_alerts(connection, self.network.id)

    def sent_from(self, src: int) -> SeqRecord:
        """Give the numbers that may have been sent from an address of ours."""
        with self.buffer.reading() as connection:
            return rows.load_seq(connection, self.network.id, src)

    def all_sent(self) -> dict[int, SeqRecord]:
        """Give the numbers that may have been sent, by every address that we ever had."""
        with self.buffer.reading() as connection:
            return rows.load_all_seq(connection, self.network.id)

    def replay(self) -> tuple[ReplayEntry, ...]:
        """Give the replay list."""
        with self.buffer.reading() as connection:
            return rows.load_replay(connection, self.network.id)

    def gone(self) -> list[NodeGone]:
        """Give the addresses that are not given out for a while."""
        with self.buffer.reading() as connection:
            return list(rows.load_gone(connection, self.network.id))


def _view(row: Row[Any]) -> NodeView:
    return NodeView(
        unicast=row.unicast,
        elements=row.elements,
        uuid=bytes(row.uuid),
        name=row.name,
        net_index=row.net_index,
        progress=row.progress,
        step=row.step,
        composition=bytes(row.composition),
        settings=json.loads(row.settings or "{}"),
        added_us=row.added_us,
        seen_us=row.seen_us,
    )
