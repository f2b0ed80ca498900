"""Find the database of this gateway's meshes, and put a new mesh into it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, insert, update

from dunes.buffer.engine import parse_url
from dunes.buffer.store import Buffer, buffer_url
from dunes.clock import Clock
from dunes.crypto.identity import Identity
from dunes.errors import ConfigError, Denied, LocalError, NotFound
from dunes.gateway import rows, saving, tables
from dunes.gateway.devicelinks import DeviceLink
from dunes.gateway.groups import Group, Label
from dunes.gateway.sealing import SECRET_BYTES, FieldSealer
from dunes.gateway.wholestate import About
from dunes.mesh.managerstate import KnownNode, ManagerState
from dunes.settings import Settings

NO_CAP_BYTES = 1 << 46
"""The buffer's cap is not the mesh's: SEQ can be reserved while the buffer is full."""
TOKEN_BYTES = 16
UUID_BYTES = 16
_NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class Beside:
    """What belongs to a mesh beside its state.

    Attributes:
        groups: with their names.
        labels: virtual addresses with their names.
        about: of nodes, by primary address.
        others: other provisioners of the mesh.
        links: elements of ours that are or were some device's.
    """

    groups: Sequence[Group] = ()
    labels: Sequence[Label] = ()
    about: Mapping[int, About] = field(default_factory=dict)
    others: Sequence[KnownNode] = ()
    links: Sequence[DeviceLink] = ()


class MeshExists(Denied):
    """There is a mesh of this name."""

    code = "mesh-exists"


def open_database(settings: Settings, mesh_id: str, *, create: bool) -> Buffer:
    """Open the database of the buffer, without the buffer's cap.

    Args:
        settings: as loaded.
        mesh_id: the mesh that is wanted, for the message.
        create: make the database if there is none.

    Raises:
        NotFound: there is none, and `create` is off.
    """
    url = buffer_url(settings)
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        if create and not settings["buffer.url"]:
            settings.paths.ready(settings.paths.data)
        elif not create and not Path(parsed.database).exists():
            raise no_mesh(mesh_id or settings["mesh.id"], [])
    return Buffer.open(url, cap_bytes=NO_CAP_BYTES)


def choose(wanted: str, names: list[str]) -> str:
    """Say which mesh is meant: the one that was named, else the only one.

    Raises:
        ConfigError: there are several.
        NotFound: there is none.
    """
    if wanted:
        return wanted
    if len(names) == 1:
        return names[0]
    if names:
        raise ConfigError(
            f"there are several meshes here ({', '.join(names[:_NAMED_MAX])}) and none was named",
            hint=f"--mesh-id {names[0]}",
        )
    raise no_mesh("", [])


def need_network(connection: Connection, name: str, names: list[str]) -> rows.Network:
    """Give the row of a mesh.

    Raises:
        NotFound: there is none by that name.
    """
    network = rows.find_network(connection, name)
    if network is None:
        raise no_mesh(name, names)
    return network


def no_mesh(name: str, names: list[str]) -> NotFound:
    """Make the error for a mesh that is not here."""
    if names:
        hint = f"there is {', '.join(names[:_NAMED_MAX])}: --mesh-id {names[0]}"
    else:
        hint = "dunes mesh-init --nodes 20 --range 1000m makes it"
    return NotFound(
        f"there is no mesh {name} here" if name else "there is no mesh here yet",
        hint=hint,
        code="unknown-mesh",
    )


def insert_mesh(
    buffer: Buffer,
    mesh_id: str,
    state: ManagerState,
    uuid: bytes | None,
    identity: Identity,
    *,
    clock: Clock,
    replace_it: bool,
    above: int,
    beside: Beside | None = None,
) -> rows.Network:
    """Write a whole mesh in one transaction, under a new secret.

    Args:
        buffer: the database.
        mesh_id: its name.
        state: all there is of it.
        uuid: its UUID; None: that of the mesh it replaces, or a random one.
        identity: whom the secret is wrapped to.
        clock: for ages and records.
        replace_it: put it in the place of what is there by that name.
        above: the generation of a mark that is there; this one is newer.
        beside: groups, labels, and what is known of nodes.

    Raises:
        MeshExists: there is one, and `replace_it` is off.
    """
    now_us = clock.unix_us()
    sealer = FieldSealer(os.urandom(SECRET_BYTES))
    network = tables.network
    with buffer.writing() as connection:
        known = rows.find_network(connection, mesh_id)
        if known is not None and not replace_it:
            raise MeshExists(f"there is a mesh {mesh_id} here already", hint="dunes mesh-status")
        before = 0 if known is None else known.generation
        keys_before = 0 if known is None else known.keys_generation
        if uuid is None:
            uuid = os.urandom(UUID_BYTES) if known is None else known.uuid
        values = {
            "name": mesh_id,
            "uuid": uuid,
            "unicast": state.unicast,
            "low": state.low,
            "high": state.high,
            "generation": max(before, above) + 1,
            "keys_generation": keys_before + 1,
            "writer": os.urandom(TOKEN_BYTES),
            "moved_us": None,
            "created_us": now_us,
        } | saving.iv_columns(state.stack.iv, now_us)
        if known is None:
            connection.execute(insert(network).values(**values))
        else:
            saving.erase(connection, known.id, keep_seq=known.uuid == uuid)
            connection.execute(update(network).where(network.c.id == known.id).values(**values))
        made = rows.find_network(connection, mesh_id)
        if made is None:
            raise LocalError(f"mesh {mesh_id} was not written")
        scribe = rows.Scribe(made.id, made.uuid, made.unicast, sealer, now_us)
        saving.save_state(connection, scribe, state)
        if beside is not None:
            for other in beside.others:
                saving.save_node(connection, scribe, other)
            saving.save_groups(connection, made.id, beside.groups, beside.labels)
            saving.save_about(connection, made.id, beside.about)
            saving.save_links(connection, made.id, beside.links)
        wrapped = sealer.wrap(made.uuid, identity.recipient.public)
        saving.save_wrap(connection, made.id, identity.kid, wrapped, now_us)
    return made
