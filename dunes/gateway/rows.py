"""Rows of a mesh as records of the mesh stack. Every function works in its caller's transaction.

The records are those of `dunes.mesh.managerstate` and its kin; `dunes.gateway.saving` writes them.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from dunes.clock import US_PER_S
from dunes.gateway import tables
from dunes.gateway.devicelinks import DeviceLink, count_elements
from dunes.gateway.sealing import SALT_BYTES, FieldSealer, field_name
from dunes.gateway.wholestate import PROVISIONER
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.keys import AppKeyRecord, NetKeyRecord, Phase
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone, Progress
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord, StackState

NET, APP = 0, 1


@dataclass(frozen=True, slots=True)
class Network:
    """The row of a mesh; the names are those of `dunes.gateway.tables.network`."""

    id: int
    name: str
    uuid: bytes
    unicast: int
    low: int
    high: int
    iv_index: int
    iv_updating: int
    iv_age_s: float
    iv_recovered_age_s: float | None
    iv_written_us: int
    generation: int
    keys_generation: int
    writer: bytes
    moved_us: int | None
    created_us: int


@dataclass(frozen=True, slots=True)
class Scribe:
    """Who writes: which mesh, how its keys are sealed, and what time it is.

    Attributes:
        id: the mesh's row.
        uuid: the mesh's UUID.
        unicast: our own address.
        sealer: for keys.
        now_us: µs since 1970.
    """

    id: int
    uuid: bytes
    unicast: int
    sealer: FieldSealer
    now_us: int

    def seal(self, field: bytes, kind: str, *row: int | bytes) -> bytes:
        """Seal one key for its row."""
        return self.sealer.seal(field, field_name(self.uuid, kind, *row), os.urandom(SALT_BYTES))

    def open(self, sealed: bytes, kind: str, *row: int | bytes) -> bytes:
        """Open the key of a row.

        Raises:
            Tampered: it is not that row's.
        """
        return self.sealer.open(bytes(sealed), field_name(self.uuid, kind, *row))


# ---------------------------------------------------------------- meshes


def find_network(connection: Connection, name: str) -> Network | None:
    """Find a mesh by its name."""
    query = select(tables.network).where(tables.network.c.name == name)
    row = connection.execute(query).first()
    return None if row is None else Network(*row)


def network_names(connection: Connection) -> list[str]:
    """Name the meshes that are here, in order."""
    query = select(tables.network.c.name).order_by(tables.network.c.name)
    return list(connection.execute(query).scalars())


def load_wraps(connection: Connection, network_id: int) -> dict[str, bytes]:
    """Give the wraps of a mesh's secret by key id."""
    wrap = tables.wrap
    query = select(wrap.c.kid, wrap.c.wrapped).where(wrap.c.network_id == network_id)
    return {kid: bytes(wrapped) for kid, wrapped in connection.execute(query)}


# ---------------------------------------------------------------- the whole state


def load_state(connection: Connection, network: Network, scribe: Scribe) -> ManagerState:
    """Read everything that a gateway goes on from; ages are those of now."""
    return ManagerState(
        network.unicast,
        StackState(
            load_seq(connection, network.id, network.unicast),
            iv_of(network, scribe.now_us),
            _load_keys(connection, scribe),
            load_replay(connection, network.id),
        ),
        tuple(load_nodes(connection, scribe)),
        tuple(load_gone(connection, network.id)),
        network.low,
        network.high,
        count_elements(load_links(connection, network.id)),
    )


def load_links(connection: Connection, network_id: int) -> list[DeviceLink]:
    """Give our further elements, in their order."""
    link = tables.link.c
    query = (
        select(link.element, link.device, link.since_us, link.sequence)
        .where(link.network_id == network_id)
        .order_by(link.element)
    )
    return [DeviceLink(*row) for row in connection.execute(query)]


def iv_of(network: Network, now_us: int) -> IvRecord:
    """Give the IV index with its ages as of now; a clock that went back adds nothing."""
    passed_s = max(0, now_us - network.iv_written_us) / US_PER_S
    recovered = network.iv_recovered_age_s
    return IvRecord(
        network.iv_index,
        bool(network.iv_updating),
        network.iv_age_s + passed_s,
        None if recovered is None else recovered + passed_s,
    )


def load_seq(connection: Connection, network_id: int, src: int) -> SeqRecord:
    """Give the numbers that may have been sent from an address of ours."""
    seq = tables.seq.c
    row = connection.execute(
        select(seq.iv_index, seq.seq_limit).where(seq.network_id == network_id, seq.src == src)
    ).first()
    return SeqRecord() if row is None else SeqRecord(*row)


def load_all_seq(connection: Connection, network_id: int) -> dict[int, SeqRecord]:
    """Give the numbers that may have been sent, by every address that we ever had."""
    seq = tables.seq.c
    query = select(seq.src, seq.iv_index, seq.seq_limit).where(seq.network_id == network_id)
    return {src: SeqRecord(*record) for src, *record in connection.execute(query)}


def _load_keys(connection: Connection, scribe: Scribe) -> KeysRecord:
    nets: list[NetKeyRecord] = []
    apps: list[AppKeyRecord] = []
    key = tables.key
    query = (
        select(key.c.kind, key.c.key_index, key.c.net_index, key.c.phase)
        .add_columns(key.c.sealed, key.c.sealed_new)
        .where(key.c.network_id == scribe.id)
        .order_by(key.c.kind, key.c.key_index)
    )
    for kind, index, net_index, phase, sealed, sealed_new in connection.execute(query):
        word = "net" if kind == NET else "app"
        old = scribe.open(sealed, word, index)
        new = None if sealed_new is None else scribe.open(sealed_new, f"{word}-new", index)
        if kind == NET:
            nets.append(NetKeyRecord(index, old, new, Phase(phase)))
        else:
            apps.append(AppKeyRecord(index, net_index, old, new))
    return KeysRecord(tuple(nets), tuple(apps))


def load_replay(connection: Connection, network_id: int) -> tuple[ReplayEntry, ...]:
    """Read the replay list, in order of its sources."""
    replay = tables.replay.c
    query = (
        select(replay.src, replay.iv_index, replay.seq)
        .where(replay.network_id == network_id)
        .order_by(replay.src)
    )
    return tuple(ReplayEntry(*row) for row in connection.execute(query))


def load_nodes(
    connection: Connection, scribe: Scribe, *, others: bool = False
) -> Iterable[KnownNode]:
    """Read the nodes in order of their addresses.

    Args:
        connection: in a transaction.
        scribe: opens their keys.
        others: give those that are other provisioners instead.
    """
    node = tables.node
    query = select(node).where(node.c.network_id == scribe.id).order_by(node.c.unicast)
    for row in connection.execute(query):
        if is_other(row.settings) is not others:
            continue
        uuid = bytes(row.uuid)
        yield KnownNode(
            uuid,
            row.unicast,
            row.elements,
            scribe.open(row.sealed_device_key, "device", row.unicast, uuid),
            Progress(row.progress),
            row.step,
            bytes(row.composition),
            row.name,
            row.net_index,
        )


def is_other(settings: str) -> bool:
    """Tell by a node's settings whether it is another provisioner."""
    return PROVISIONER in settings and PROVISIONER in json.loads(settings)


def load_alerts(connection: Connection, network_id: int) -> list[bytes]:
    """Give the fingerprints of the newest alerts that were kept, in their order."""
    alert = tables.alert.c
    query = select(alert.fingerprint).where(alert.network_id == network_id).order_by(alert.id)
    return [bytes(found) for found in connection.execute(query).scalars()]


def load_gone(connection: Connection, network_id: int) -> Iterable[NodeGone]:
    """Give the addresses that wait, in the order in which they were freed."""
    gone = tables.gone.c
    query = (
        select(gone.unicast, gone.elements, gone.iv_index)
        .where(gone.network_id == network_id)
        .order_by(gone.id)
    )
    return (NodeGone(*row) for row in connection.execute(query))
