"""Records of the mesh stack as rows: what is written. All in the caller's transaction.

What `Store` events bring is written by `write_change`, one row or set of rows for each kind;
`dunes.gateway.rows` reads it again.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from dunes.errors import LocalError
from dunes.gateway import tables
from dunes.gateway.devicelinks import DeviceLink
from dunes.gateway.groups import Group, Label
from dunes.gateway.rows import APP, NET, Scribe
from dunes.gateway.wholestate import About
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord

ALERTS_KEPT = 1024
"""Alerts that are known when they are said again. Nodes of ours say one for two minutes, and a
mesh carries some ten messages a second."""


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
        tables.alert,
        tables.group,
        tables.label,
        tables.link,
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


def save_links(connection: Connection, network_id: int, links: Iterable[DeviceLink]) -> None:
    """Write elements of ours, each in place of what it was before."""
    for each in links:
        row = {"element": each.element, "device": each.device, "since_us": each.since_us}
        row |= {"network_id": network_id, "sequence": each.sequence}
        upsert(connection, tables.link, [row])


def save_sequences(connection: Connection, network_id: int, sequences: Mapping[int, int]) -> None:
    """Write the numbers of elements' next reports, by element."""
    link = tables.link
    statement = (
        update(link)
        .where(link.c.network_id == network_id, link.c.element == bindparam("of"))
        .values(sequence=bindparam("next_one"))
    )
    rows = [{"of": element, "next_one": number} for element, number in sequences.items()]
    connection.execute(statement, rows)


def save_alerts(connection: Connection, network_id: int, fingerprints: Iterable[bytes]) -> None:
    """Write that alerts were kept; the oldest are forgotten for them."""
    alert = tables.alert
    rows = [{"network_id": network_id, "fingerprint": each} for each in fingerprints]
    connection.execute(insert(alert), rows)
    newest = select(func.max(alert.c.id)).scalar_subquery()
    old = alert.c.id <= newest - ALERTS_KEPT
    connection.execute(delete(alert).where(alert.c.network_id == network_id, old))


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
