"""Take a mesh out of the database into a file.

Two files, both with keys in them and so mode 0600: a Configuration Database for another
provisioner beside us (`cdb`), and the whole state for the same gateway on another machine
(`state`).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from dunes.crypto import keyio
from dunes.errors import UsageError
from dunes.gateway.cdb import Provisioner, provisioner_uuid, write_cdb
from dunes.gateway.store import MeshStore
from dunes.gateway.wholestate import About, WholeMesh, encode_whole

STDOUT = Path("-")
FORMATS = ("cdb", "state")


@dataclass(slots=True)
class ExportReport:
    """What was taken out.

    Attributes:
        mesh_id: name of the mesh.
        mesh_uuid: 32 hex digits.
        format: `cdb` or `state`.
        file: where it was written.
        nodes: how many.
        net_keys: how many.
        app_keys: how many.
        device_keys: whether they are in it.
        moved: this gateway gave the mesh away and sends nothing more.
        dry_run: nothing was written.
        notes: what a person should know.
    """

    mesh_id: str
    mesh_uuid: str
    format: str
    file: str
    nodes: int
    net_keys: int
    app_keys: int
    device_keys: bool
    moved: bool
    dry_run: bool
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wish:
    """What an export is to be.

    Attributes:
        format: `cdb` or `state`.
        output: the file; `-` is stdout; None: one named after the mesh, here.
        device_keys: put them into a Configuration Database.
        move: give the mesh away: this gateway sends nothing more.
        force: replace the file.
        dry_run: say what would be done.
    """

    format: str = "cdb"
    output: Path | None = None
    device_keys: bool = True
    move: bool = False
    force: bool = False
    dry_run: bool = False

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            UsageError: it does not.
        """
        if self.format not in FORMATS:
            raise UsageError(f"no format {self.format[:40]!r}", hint="--format cdb or state")
        if self.move and self.format != "state":
            raise UsageError(
                "--move gives the whole mesh away: SEQ and IV index have to go with it",
                hint="dunes mesh-export --format state --move",
            )
        if not self.device_keys and self.format == "state":
            raise UsageError(
                "a state without device keys is none", hint="--format cdb --no-device-keys"
            )


def gather(store: MeshStore, gateway: str, *, moved: bool = False) -> WholeMesh:
    """Read all there is of a mesh."""
    state, (about, others) = store.load(), store.others()
    return WholeMesh(
        store.mesh_id,
        store.uuid,
        state,
        tuple(store.all_groups()),
        tuple(store.all_labels()),
        about
        | {
            view.unicast: About(view.settings, view.added_us, view.seen_us)
            for view in store.views()
        },
        others,
        gateway,
        moved,
        store.clock.unix_us(),
        tuple(store.links()),
    )


def export_mesh(store: MeshStore, gateway: str, wish: Wish) -> tuple[ExportReport, bytes]:
    """Make an export, and write it unless it is for stdout.

    Args:
        store: opened for writing if the mesh is given away.
        gateway: its name.
        wish: what it is to be.

    Returns:
        The report, and the file's content.

    Raises:
        KeyExists: the file is there, and `force` is off.
        UsageError, StorageError: the file.
    """
    wish.check()
    given_away = wish.move or store.network.moved_us is not None
    # a later export of a mesh that somebody else has does not know what that one sent
    whole = gather(store, gateway, moved=wish.move)
    if wish.format == "state":
        content = encode_whole(whole)
    else:
        own = Provisioner(
            gateway, provisioner_uuid(store.uuid, store.network.unicast), store.own_device_key()
        )
        members = write_cdb(whole, own, device_keys=wish.device_keys)
        content = json.dumps(members, indent=2, ensure_ascii=False).encode() + b"\n"
    path = wish.output or Path(f"{store.mesh_id}.{wish.format}.json")
    keys = whole.state.stack.keys
    report = ExportReport(
        store.mesh_id,
        store.uuid.hex(),
        wish.format,
        str(path),
        len(whole.state.nodes),
        len(keys.nets),
        len(keys.apps),
        wish.device_keys,
        given_away,
        wish.dry_run,
        [*store.notes, *_export_notes(store, wish)],
    )
    if not wish.dry_run:
        _hand_over(store, wish, path, content)
    return report, content


def _hand_over(store: MeshStore, wish: Wish, path: Path, content: bytes) -> None:
    """Write the file; give the mesh away first, so that at no time two have it."""
    write = keyio.write_over if wish.force else keyio.write_new
    if wish.move:
        store.move_away()
    try:
        if path != STDOUT:
            write(path, content)
    except BaseException:
        if wish.move:
            store.move_away(back=True)
        raise


def _export_notes(store: MeshStore, wish: Wish) -> list[str]:
    notes = []
    secret = "network, application and device keys" if wish.device_keys else "keys of the mesh"
    notes.append(f"the file holds {secret} in clear: whoever reads it controls the mesh")
    given_away = wish.move or store.network.moved_us is not None
    if wish.format == "state" and not given_away:
        notes.append(
            "whoever imports it takes this gateway's place: stop this one for good then, or "
            "export with --move"
        )
    if store.written_by is not None and not wish.move:
        notes.append(f"{store.written_by} goes on using the mesh")
    return notes
