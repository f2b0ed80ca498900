"""Records of the mesh stack as rows, and back. Every function works in its caller's transaction.

The records are those of `dunes.mesh.managerstate` and its kin; what `Store` events bring is
written by `write_change`, one row or set of rows for each kind.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from dunes.clock import US_PER_S
from dunes.errors import LocalError
from dunes.gateway import tables
from dunes.gateway.groups import Group, Label
from dunes.gateway.sealing import SALT_BYTES, FieldSealer, field_name
from dunes.gateway.wholestate import About
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


def save_wrap(
    connection: Connection, network_id: int, kid: str, wrapped: bytes, now_us: int
) -> None:
    """Keep a wrap of a mesh's secret."""
    row = {"network_id": network_id, "kid": kid, "wrapped": wrapped, "created_us": now_us}
    upsert(connection, tables.wrap, [row])


def erase(connection: Connection, network_id: int, *, keep_seq: bool) -> None:
    """Delete all rows that belong to a mesh; its own row stays.

    Args:
        connection: in a transaction.
        network_id: which mesh.
        keep_seq: remember which numbers were used, from each address: it is the same mesh.
    """
    if not keep_seq:
        connection.execute(delete(tables.seq).where(tables.seq.c.network_id == network_id))
    for table in (
        tables.wrap,
        tables.key,
        tables.node,
        tables.replay,
        tables.gone,
        tables.group,
        tables.label,
    ):
        connection.execute(delete(table).where(table.c.network_id == network_id))


def iv_columns(record: IvRecord, now_us: int) -> dict[str, Any]:
    """Give the columns of an IV index."""
    return {
        "iv_index": record.index,
        "iv_updating": int(record.updating),
        "iv_age_s": record.age_s,
        "iv_recovered_age_s": record.recovered_age_s,
        "iv_written_us": now_us,
    }


# ---------------------------------------------------------------- the whole state


def load_state(connection: Connection, network: Network, scribe: Scribe) -> ManagerState:
    """Read everything that a gateway goes on from; ages are those of now."""
    return ManagerState(
        network.unicast,
        StackState(
            load_seq(connection, network.id, network.unicast),
            _iv_of(network, scribe.now_us),
            _load_keys(connection, scribe),
            _load_replay(connection, network.id),
        ),
        tuple(_load_nodes(connection, scribe)),
        tuple(load_gone(connection, network.id)),
        network.low,
        network.high,
    )


def save_state(connection: Connection, scribe: Scribe, state: ManagerState) -> None:
    """Write all of a state but what stands in the mesh's own row, into empty tables."""
    stack = state.stack
    _save_seq(connection, scribe, stack.seq)
    _save_keys(connection, scribe, stack.keys)
    _save_replay(connection, scribe.id, stack.replay)
    for node in state.nodes:
        save_node(connection, scribe, node)
    for gone in state.gone:
        _save_gone(connection, scribe.id, gone)


def _iv_of(network: Network, now_us: int) -> IvRecord:
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


def _load_replay(connection: Connection, network_id: int) -> tuple[ReplayEntry, ...]:
    replay = tables.replay.c
    query = (
        select(replay.src, replay.iv_index, replay.seq)
        .where(replay.network_id == network_id)
        .order_by(replay.src)
    )
    return tuple(ReplayEntry(*row) for row in connection.execute(query))


def _load_nodes(connection: Connection, scribe: Scribe) -> Iterable[KnownNode]:
    node = tables.node
    query = select(node).where(node.c.network_id == scribe.id).order_by(node.c.unicast)
    for row in connection.execute(query):
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


def load_gone(connection: Connection, network_id: int) -> Iterable[NodeGone]:
    """Give the addresses that wait, in the order in which they were freed."""
    gone = tables.gone.c
    query = (
        select(gone.unicast, gone.elements, gone.iv_index)
        .where(gone.network_id == network_id)
        .order_by(gone.id)
    )
    return (NodeGone(*row) for row in connection.execute(query))


# ---------------------------------------------------------------- changes


def write_change(connection: Connection, scribe: Scribe, change: object) -> None:
    """Write one change of a `Store`; replay entries go together, through `save_replay`.

    Raises:
        LocalError: a kind that no gateway stores, or SEQ that would go back.
    """
    match change:
        case SeqRecord():
            _save_seq(connection, scribe, change)
        case IvRecord():
            network = tables.network
            connection.execute(
                update(network)
                .where(network.c.id == scribe.id)
                .values(**iv_columns(change, scribe.now_us))
            )
        case KeysRecord():
            _save_keys(connection, scribe, change)
        case KnownNode():
            save_node(connection, scribe, change)
        case NodeGone():
            node = tables.node
            connection.execute(
                delete(node).where(
                    node.c.network_id == scribe.id, node.c.unicast == change.unicast
                )
            )
            _save_gone(connection, scribe.id, change)
        case _:
            raise LocalError(f"a gateway stores no {type(change).__name__}")


def _save_seq(connection: Connection, scribe: Scribe, record: SeqRecord) -> None:
    seq = tables.seq
    known = connection.execute(
        select(seq.c.iv_index, seq.c.seq_limit).where(
            seq.c.network_id == scribe.id, seq.c.src == scribe.unicast
        )
    ).first()
    if known is not None and (record.iv_index, record.limit) < tuple(known):
        raise LocalError(
            f"SEQ may not go back from {known[1]} (IV {known[0]}) "
            f"to {record.limit} (IV {record.iv_index})"
        )
    row = {"network_id": scribe.id, "src": scribe.unicast}
    upsert(connection, seq, [row | {"iv_index": record.iv_index, "seq_limit": record.limit}])


def _save_keys(connection: Connection, scribe: Scribe, record: KeysRecord) -> None:
    key = tables.key
    connection.execute(delete(key).where(key.c.network_id == scribe.id))
    rows = [
        _key_row(scribe, NET, net.index, net.key, net.new_key)
        | {"net_index": net.index, "phase": int(net.phase)}
        for net in record.nets
    ]
    rows += [
        _key_row(scribe, APP, app.index, app.key, app.new_key)
        | {"net_index": app.net_index, "phase": 0}
        for app in record.apps
    ]
    if rows:
        connection.execute(insert(key), rows)


def _key_row(
    scribe: Scribe, kind: int, index: int, old: bytes, new: bytes | None
) -> dict[str, Any]:
    word = "net" if kind == NET else "app"
    return {
        "network_id": scribe.id,
        "kind": kind,
        "key_index": index,
        "sealed": scribe.seal(old, word, index),
        "sealed_new": None if new is None else scribe.seal(new, f"{word}-new", index),
    }


def save_node(connection: Connection, scribe: Scribe, node: KnownNode) -> None:
    """Write what is known of a node; when it was added and last heard stays."""
    row = {
        "network_id": scribe.id,
        "unicast": node.unicast,
        "elements": node.elements,
        "uuid": node.uuid,
        "sealed_device_key": scribe.seal(node.device_key, "device", node.unicast, node.uuid),
        "name": node.name,
        "net_index": node.net_index,
        "progress": int(node.progress),
        "step": node.step,
        "composition": node.composition,
        "settings": "",
        "added_us": scribe.now_us,
    }
    upsert(connection, tables.node, [row], keep=("settings", "added_us"))


def save_about(connection: Connection, network_id: int, about: Mapping[int, About]) -> None:
    """Write what is known of nodes beside their records, by primary address."""
    node = tables.node
    for unicast, each in about.items():
        text = json.dumps(each.settings, sort_keys=True, separators=(",", ":"))
        values: dict[str, Any] = {
            "settings": text if each.settings else "",
            "seen_us": each.seen_us,
        }
        if each.added_us:
            values["added_us"] = each.added_us
        connection.execute(
            update(node)
            .where(node.c.network_id == network_id, node.c.unicast == unicast)
            .values(**values)
        )


def save_groups(
    connection: Connection, network_id: int, groups: Iterable[Group], labels: Iterable[Label]
) -> None:
    """Write the names of groups and virtual addresses."""
    mesh = {"network_id": network_id}
    for group in groups:
        row = {"address": group.address, "name": group.name, "parent": group.parent}
        upsert(connection, tables.group, [mesh | row])
    for label in labels:
        row = {"uuid": label.uuid, "address": label.address, "name": label.name}
        upsert(connection, tables.label, [mesh | row])


def save_replay(connection: Connection, network_id: int, entries: Iterable[ReplayEntry]) -> None:
    """Write replay entries, each in place of the one of its source."""
    rows = [
        {"network_id": network_id, "src": each.src, "iv_index": each.iv_index, "seq": each.seq}
        for each in entries
    ]
    if rows:
        upsert(connection, tables.replay, rows)


_save_replay = save_replay


def save_seen(connection: Connection, network_id: int, seen: Mapping[int, int]) -> None:
    """Write when nodes were last heard: µs since 1970 by primary address."""
    node = tables.node
    statement = (
        update(node)
        .where(node.c.network_id == network_id, node.c.unicast == bindparam("of"))
        .values(seen_us=bindparam("at_us"))
    )
    connection.execute(
        statement, [{"of": unicast, "at_us": at_us} for unicast, at_us in seen.items()]
    )


def _save_gone(connection: Connection, network_id: int, gone: NodeGone) -> None:
    connection.execute(
        insert(tables.gone).values(
            network_id=network_id,
            unicast=gone.unicast,
            elements=gone.elements,
            iv_index=gone.iv_index,
        )
    )


def upsert(
    connection: Connection,
    table: Table,
    rows: list[dict[str, Any]],
    keep: tuple[str, ...] = (),
) -> None:
    """Insert rows, or change those that are there by their primary key.

    Args:
        connection: in a transaction.
        table: whose rows.
        rows: with the same columns each.
        keep: columns that a row which is there keeps.
    """
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    key = {column.name for column in table.primary_key}
    changed = {
        name: statement.excluded[name] for name in rows[0] if name not in key and name not in keep
    }
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_=changed
    )
    connection.execute(statement, rows)
