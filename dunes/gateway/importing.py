"""Take a mesh into the database from a file: its whole state, or a Configuration Database.

A state makes this gateway the one that wrote it, with SEQ behind all that it may have used
since. A Configuration Database makes it one more provisioner of that mesh.
"""

import json
import os
import re
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random, SystemRandom

from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.crypto.identity import Identity, public_documents
from dunes.errors import DataError, NotFound, StorageError, UsageError
from dunes.gateway.cdbdata import Database
from dunes.gateway.cdbread import is_cdb, read_cdb
from dunes.gateway.devicelinks import DeviceLink, count_elements
from dunes.gateway.localmesh import LocalMesh
from dunes.gateway.opening import Beside, MeshExists
from dunes.gateway.store import MeshStore
from dunes.gateway.wholestate import WholeMesh, is_whole, read_whole
from dunes.mesh.ivindex import UNKNOWN
from dunes.mesh.managerstate import ManagerState
from dunes.model import NAME, check_name
from dunes.settings import Settings
from dunes.text import printable
from dunes.uplink.target import gateway_name

SHOWN_MAX = 5
FILE_MAX_BYTES = 64 * 1024 * 1024
"""A node of a Configuration Database takes some 3 kB; not all of 32,767 are likely."""


@dataclass(slots=True)
class ImportReport:
    """What was taken in.

    Attributes:
        mesh_id: name of the mesh here.
        mesh_uuid: 32 hex digits.
        format: `cdb` or `state`.
        file: where it came from.
        nodes: how many can be configured.
        other_provisioners: names of those who may let in nodes too.
        without_device_key: names of nodes that can only be heard.
        net_keys: how many.
        app_keys: how many.
        groups: how many groups and virtual addresses have a name.
        unicast: our own address, e.g. `0x0001`.
        range: addresses that we give out, e.g. `0x0009-0x7fff`.
        seq: the next sequence number.
        iv_index: the IV index; None: the first beacon will tell.
        replaced: what was here by that name is gone.
        dry_run: nothing was written.
        notes: what a person should know.
    """

    mesh_id: str
    mesh_uuid: str
    format: str
    file: str
    nodes: int
    other_provisioners: list[str]
    without_device_key: list[str]
    net_keys: int
    app_keys: int
    groups: int
    unicast: str
    range: str
    seq: int
    iv_index: int | None
    replaced: bool
    dry_run: bool
    notes: list[str] = field(default_factory=list)


def read_export(path: Path, stdin: bytes | None = None) -> WholeMesh | Database:
    """Read a file that holds either format.

    Args:
        path: the file.
        stdin: its content, where it came that way.

    Raises:
        NotFound, StorageError: the file.
        DataError: neither format, or not sound.
    """
    data = _read(path) if stdin is None else stdin
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise DataError(
            f"{path} is not JSON", hint="dunes mesh-export writes what can be imported"
        ) from e
    if is_whole(content):
        return read_whole(content)
    if is_cdb(content):
        return read_cdb(content)
    raise DataError(
        f"{path} is neither a Configuration Database nor a state export of a mesh",
        hint="a Configuration Database has meshUUID and netKeys; a state export has "
        '"format": "dunes.mesh-state/1"',
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{path} is not a file", hint="`-` reads stdin")
            data = file.read(FILE_MAX_BYTES + 1)
    except FileNotFoundError as e:
        raise NotFound(f"no file {path}", hint="ls") from e
    except IsADirectoryError as e:
        raise UsageError(f"{path} is a directory", hint="name the file in it") from e
    except OSError as e:
        raise StorageError(f"{path} cannot be read: {e.strerror}") from e
    if len(data) > FILE_MAX_BYTES:
        raise DataError(f"{path} is larger than {FILE_MAX_BYTES} bytes: no mesh is", hint="ls -l")
    return data


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import comes to.

    Attributes:
        mesh_id: the name here.
        uuid: of the mesh.
        state: what the gateway goes on from.
        beside: groups, labels, what is known of nodes.
        report: for people.
    """

    mesh_id: str
    uuid: bytes
    state: ManagerState = field(repr=False)
    beside: Beside = field(repr=False)
    report: ImportReport


def plan_import(
    given: WholeMesh | Database,
    settings: Settings,
    path: Path,
    *,
    mesh_id: str = "",
    force: bool = False,
    rng: Random | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Plan:
    """Say what an import would do here.

    Args:
        given: what was read.
        settings: as loaded.
        path: where it came from.
        mesh_id: the name here; default: that of the state, or of the settings.
        force: replace a mesh of that name.
        rng: for the address; default: the system's.
        clock: for ages.

    Raises:
        MeshExists: there is one of that name, and `force` is off.
        NotFound: no address is left in the mesh.
        UsageError: no name can be made of the mesh's.
    """
    dice = rng or SystemRandom()
    if isinstance(given, WholeMesh):
        name, kind = mesh_id or given.mesh_id, "state"
    else:
        name, kind = mesh_id or settings["mesh.id"] or fold_name(given.name), "cdb"
    check_name(name, "mesh")
    here = LocalMesh.look(settings, name)
    if here is not None and not force:
        raise MeshExists(
            f"there is a mesh {name} here already", hint="--force replaces it, or --mesh-id NAME"
        )
    same = here if here is not None and here.network.uuid == given.uuid else None
    without_key: list[str] = []
    if isinstance(given, WholeMesh):
        state = given.for_import(clock.unix_us(), dice)
        notes = _one_gateway(given, settings, state)
    else:
        state, notes = _join(given, same, dice)
        without_key = given.without_key
    links: tuple[DeviceLink, ...] = ()
    if isinstance(given, WholeMesh):
        links = given.links
    elif same is not None:
        links, said = _kept_links(given, same, state)
        state, notes = replace(state, elements=count_elements(links)), notes + said
    beside = Beside(given.groups, given.labels, given.about, given.others, links)
    if same is not None:
        state = same.behind(state, dice)
        notes += _forgotten(same, state)
    if settings["mesh.id"] not in {"", name}:
        notes.append(
            f"this gateway's mesh is {settings['mesh.id']}; to work with this one: "
            f"--mesh-id {name}, or mcp init --mesh-id {name}"
        )
    iv = state.stack.iv.index
    report = ImportReport(
        name,
        given.uuid.hex(),
        kind,
        str(path),
        len(state.nodes),
        [other.name for other in given.others],
        without_key,
        len(state.stack.keys.nets),
        len(state.stack.keys.apps),
        len(beside.groups) + len(beside.labels),
        f"{state.unicast:#06x}",
        f"{state.low:#06x}-{state.high:#06x}",
        state.stack.seq.limit,
        None if iv == UNKNOWN else iv,
        replaced=here is not None,
        dry_run=False,
        notes=notes,
    )
    return Plan(name, given.uuid, state, beside, report)


def carry_out(plan: Plan, settings: Settings, identity: Identity, *, holder: str) -> None:
    """Put a planned import into the database.

    Raises:
        MeshBusy: somebody writes the mesh that it replaces.
        StorageError, Denied: the database.
    """
    MeshStore.create(
        settings,
        plan.mesh_id,
        plan.state,
        uuid=plan.uuid,
        identity=identity,
        holder=holder,
        replace_it=plan.report.replaced,
        beside=plan.beside,
    ).close()


def fold_name(text: str) -> str:
    """Make a mesh's name of what an app calls it: `nRF Mesh Network` is `nrf-mesh-network`.

    Raises:
        UsageError: nothing is left of it.
    """
    folded = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:64].rstrip("-._")
    if NAME.fullmatch(folded) is None or not folded[0].isalpha():
        raise UsageError(
            "the mesh's name in the file cannot name it here", hint="--mesh-id lunar-ble-001"
        )
    return folded


def _one_gateway(given: WholeMesh, settings: Settings, state: ManagerState) -> list[str]:
    """Say what became of our address, and what has to become of who wrote a state."""
    notes = []
    if state.unicast != given.state.unicast:
        notes.append(
            f"sending goes on from {state.unicast:#06x}, no longer from "
            f"{given.state.unicast:#06x}: no number can be used twice"
        )
    own = {gateway_name(settings, document.kid) for document in public_documents(settings.paths)}
    who = printable(given.gateway, 64) or "the gateway that wrote it"
    if given.gateway in own:
        return notes
    if given.moved:
        return [*notes, f"{who} gave the mesh away and sends nothing more"]
    return [
        *notes,
        f"{who} must not be used any more: it lets in nodes at addresses that are ours",
    ]


def _kept_links(
    given: Database, here: LocalMesh, state: ManagerState
) -> tuple[tuple[DeviceLink, ...], list[str]]:
    """Keep the elements of ours, unless somebody gave their addresses to nodes."""
    end = state.unicast + count_elements(here.links)
    clash = [
        node
        for node in (*given.nodes, *given.others)
        if node.unicast < end and node.unicast + node.elements > state.unicast + 1
    ]
    lost = [each.device for each in here.links if each.device]
    if not clash:
        return here.links, []
    if not lost:
        return (), []
    return (), [f"no longer linked, as nodes have their addresses: {', '.join(lost)}"]


def _forgotten(here: LocalMesh, state: ManagerState) -> list[str]:
    """Warn of nodes that only this gateway knows."""
    kept = {node.unicast for node in state.nodes}
    lost = [name for unicast, name in here.nodes.items() if unicast not in kept]
    if not lost:
        return []
    shown = ", ".join(lost[:SHOWN_MAX]) + (", …" if len(lost) > SHOWN_MAX else "")
    return [f"not in the file, and no longer known here: {printable(shown, 400)}"]


def _join(given: Database, here: LocalMesh | None, rng: Random) -> tuple[ManagerState, list[str]]:
    """Take the part of a mesh that is ours: the one we had, else one that is nobody's."""
    notes: list[str] = []
    if here is not None and here.sure and given.has_provisioner(here.network.unicast):
        ours = here.network
        state = given.go_on(ours.unicast, ours.low, ours.high, rng)
    else:
        state, shared = given.join(rng)
        if shared:
            notes.append(
                "other provisioners have all addresses among themselves: ours are from one of "
                "their ranges, so let only one of you add nodes"
            )
    if here is None:
        notes.insert(0, "the IV index will be taken from the first beacon that a proxy sends")
    notes += [f"{text} ({count})" for text, count in sorted(given.notes.items()) if count]
    if given.without_key:
        notes.append(
            f"{len(given.without_key)} nodes came without a device key: they can be heard and "
            "commanded by address, not configured"
        )
    return state, notes
