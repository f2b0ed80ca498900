"""Who may change a mesh's rows: its writer, as long as nobody else took it over."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from sqlalchemy import Connection, select, update

from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.crypto.identity import Identity, load_identity
from dunes.errors import LocalError, NotFound, StorageError
from dunes.gateway import rows, saving, tables
from dunes.gateway.devicelinks import DeviceLink, check_device, choose_element
from dunes.gateway.directory import Directory
from dunes.gateway.groups import Group, Label
from dunes.gateway.sealing import FieldSealer
from dunes.gateway.wholestate import About
from dunes.mesh.managerstate import KnownNode
from dunes.model import check_name


class MeshLost(StorageError):
    """Another program opened this mesh for writing since."""

    code = "mesh-lost"


@dataclass(slots=True, repr=False)
class Writer(Directory):
    """One mesh, with the right to write it once a token of ours stands in its row.

    Attributes:
        clock: for ages and records.
    """

    clock: Clock = SYSTEM_CLOCK
    _identity: Identity | None = None
    _token: bytes = b""
    _sealer: FieldSealer | None = None
    _seen: dict[int, int] = field(default_factory=dict)
    _seen_lock: Lock = field(default_factory=Lock)

    # ---------------------------------------------------------------- what people add

    def note_seen(self, unicast: int, at_us: int) -> None:
        """Note when a node was heard; written with the next `apply`, or at `close`.

        Args:
            unicast: its primary address.
            at_us: µs since 1970.
        """
        with self._seen_lock:
            self._seen[unicast] = max(at_us, self._seen.get(unicast, 0))

    def set_settings(self, unicast: int, settings: dict[str, Any]) -> None:
        """Keep what was configured on a node, for exports.

        Args:
            unicast: its primary address.
            settings: in the words of a Configuration Database: `defaultTTL`, `features`,
                `networkTransmit`, `relayRetransmit`, `netKeys`, `appKeys`, `elements`; all
                of them in place of what was kept before.
        """
        node = tables.node
        text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        with self._writing() as connection:
            self._update(connection)
            connection.execute(
                update(node)
                .where(node.c.network_id == self.network.id, node.c.unicast == unicast)
                .values(settings=text)
            )

    def set_group(self, address: int, name: str, parent: int = 0) -> None:
        """Name a group."""
        with self._writing() as connection:
            self._update(connection)
            saving.save_groups(connection, self.network.id, [Group(address, name, parent)], ())

    def set_label(self, uuid: bytes, address: int, name: str) -> None:
        """Name a virtual address.

        Args:
            uuid: its Label UUID.
            address: `toolbox.virtual_address` of it.
            name: for people.
        """
        with self._writing() as connection:
            self._update(connection)
            saving.save_groups(connection, self.network.id, (), [Label(uuid, address, name)])

    def link(self, device: str, *, dry_run: bool = False) -> tuple[int, bool]:
        """Give a device an element of ours.

        Args:
            device: its name, as its readings have it.
            dry_run: say which it would be; this works beside a writer, too.

        Returns:
            The element's number, and whether it is new to the device.

        Raises:
            NoElement: none is left.
            DataError: no device can be called so, or it is a node of this mesh.
        """
        check_name(device, "device")
        network, (linked, links) = self.network, (self.linked(), self.links())
        if device in linked:
            return linked[device], False
        nodes = [(each.unicast, each.elements, each.shown) for each in self._nodes()]
        check_device(device, (name for _, _, name in nodes))
        element = choose_element(
            links,
            unicast=network.unicast,
            high=network.high,
            taken=nodes,
            gone=self.gone(),
            iv_index=network.iv_index,
        )
        if not dry_run:
            before = {each.element: each for each in links}
            self._give(before.get(element, DeviceLink(element, "", 0)), device)
        return element, True

    def unlink(self, device: str) -> int | None:
        """Take the element from a device; its address stays ours. None: it had none."""
        for each in self.links():
            if each.device == device:
                self._give(each, "")
                return each.element
        return None

    def _give(self, link: DeviceLink, device: str) -> None:
        given = replace(link, device=device, since_us=self.clock.unix_us())
        with self._writing() as connection:
            self._update(connection)
            saving.save_links(connection, self.network.id, [given])

    def save_sequences(self, sequences: Mapping[int, int]) -> None:
        """Write the numbers of the next reports, by element of ours, before one is sent.

        Raises:
            StorageError: nothing may be sent.
        """
        with self._writing() as connection:
            self._update(connection)
            saving.save_sequences(connection, self.network.id, sequences)

    def fingerprinter(self) -> Callable[[bytes], bytes]:
        """Give what tells this mesh's messages apart without telling what they say."""
        return self._scribe().sealer.fingerprinter(self.uuid)

    def save_alerts_on(self, connection: Connection, fingerprints: Iterable[bytes]) -> None:
        """Write that alerts were kept, in the transaction that keeps them."""
        self._update(connection)
        saving.save_alerts(connection, self.network.id, fingerprints)

    def own_device_key(self) -> bytes:
        """Give the device key that our own node has in a Configuration Database."""
        return self._scribe().sealer.own_device_key(self.uuid)

    # ---------------------------------------------------------------- parts

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if not self._token:
            raise LocalError("this mesh was opened to look only")
        with self.buffer.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
            yield connection

    def _update(self, connection: Connection, **changes: object) -> None:
        """Change the mesh's row, if it is still ours to change.

        Raises:
            MeshLost: it is not.
        """
        network = tables.network
        statement = update(network).where(network.c.id == self.network.id)
        if "writer" not in changes:
            statement = statement.where(network.c.writer == self._token)
        done = connection.execute(statement.values(**({"writer": self._token} | changes)))
        if done.rowcount != 1:
            raise MeshLost(
                f"another program took mesh {self.mesh_id} over; this one sends nothing more",
                hint="let only one gateway use a mesh",
            )

    def others(self) -> tuple[dict[int, About], tuple[KnownNode, ...]]:
        """Give the other provisioners of the mesh, and what is known of them."""
        scribe, node = self._scribe(), tables.node
        query = select(node).where(node.c.network_id == self.network.id)
        with self.buffer.reading() as connection:
            found = tuple(rows.load_nodes(connection, scribe, others=True))
            about = {
                row.unicast: About(json.loads(row.settings), row.added_us, row.seen_us)
                for row in connection.execute(query)
                if rows.is_other(row.settings)
            }
        return about, found

    def _save_seen(self, connection: Connection) -> None:
        """Write when nodes were heard; should the transaction fail, the next hearing counts."""
        with self._seen_lock:
            seen, self._seen = self._seen, {}
        if seen:
            saving.save_seen(connection, self.network.id, seen)

    def _reread(self, connection: Connection) -> rows.Network:
        network = rows.find_network(connection, self.network.name)
        if network is None:
            raise NotFound(f"mesh {self.network.name} was deleted", code="unknown-mesh")
        return network

    def _scribe(self) -> rows.Scribe:
        if self._sealer is None:
            if self._identity is None:
                self._identity = load_identity(self.paths)
            with self.buffer.reading() as connection:
                wraps = rows.load_wraps(connection, self.network.id)
            keys = self._identity.opening_keys
            self._sealer = FieldSealer.unwrap(self.network.uuid, wraps, keys)
        network = self.network
        return rows.Scribe(
            network.id, network.uuid, network.unicast, self._sealer, self.clock.unix_us()
        )
