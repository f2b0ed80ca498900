"""`dunes mesh-import`: join the mesh of a Configuration Database, or take a whole state over."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.keys_options import (
    PassphraseFd,
    PassphraseFile,
    given_passphrase,
    open_identity,
)
from dunes.commands.mesh_options import MeshId
from dunes.console import Screen, command
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.gateway.importing import ImportReport

STDIN = Path("-")


@command(schema="dunes.mesh-import/1", report="dunes.gateway.importing:ImportReport")
def mesh_import(
    screen: Screen,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What mesh-export or an app wrote; `-` is stdin."),
    ],
    mesh_id: MeshId = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the mesh of that name that is here.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the file and say what it holds; write nothing.")
    ] = False,
) -> int:
    """Take a mesh in from a file: a Configuration Database of any app, or a whole state."""
    from dunes.crypto.errors import NoIdentity
    from dunes.crypto.hardening import harden_process
    from dunes.crypto.identity import ensure_identity
    from dunes.gateway.importing import carry_out, plan_import, read_export
    from dunes.settings import load

    settings = load()
    harden_process()
    given = read_export(file, sys.stdin.buffer.read() if file == STDIN else None)
    plan = plan_import(given, settings, file, mesh_id=mesh_id or "", force=force)
    plan.report.dry_run = dry_run
    if not dry_run:
        secret = given_passphrase(passphrase_file, passphrase_fd)
        try:
            identity = open_identity(screen, settings.paths, secret)
        except NoIdentity:
            identity = ensure_identity(settings.paths)
        carry_out(plan, settings, identity, holder="dunes mesh-import")
    screen.show(plan.report, lines)
    for note in plan.report.notes:
        screen.note(note)
    return Exit.OK


def lines(report: "ImportReport") -> Iterator[str]:
    """Say what was taken in."""
    from dunes.console.screen import printable

    verb = "would take" if report.dry_run else "took"
    yield f"{verb} the mesh {report.mesh_id} in from {printable(report.file)}" + (
        ", in the place of the one that was here" if report.replaced else ""
    )
    nodes = f"  nodes        {report.nodes}"
    if report.without_device_key:
        nodes += f", and {len(report.without_device_key)} without a device key"
    yield nodes
    if report.other_provisioners:
        yield f"  beside us    {printable(', '.join(report.other_provisioners), 200)}"
    yield f"  keys         {report.net_keys} network, {report.app_keys} application"
    if report.groups:
        yield f"  groups       {report.groups}"
    yield f"  our address  {report.unicast}, to give out {report.range}"
    yield f"  next SEQ     {report.seq}"
    yield "  IV index     " + (
        "from the first beacon" if report.iv_index is None else str(report.iv_index)
    )
