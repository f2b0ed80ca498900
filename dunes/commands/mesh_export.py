"""`dunes mesh-export`: a mesh as a file for another provisioner, or for another machine."""

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
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.gateway.exporting import ExportReport

STDOUT = Path("-")


@command(schema="dunes.mesh-export/1", report="dunes.gateway.exporting:ExportReport")
def mesh_export(
    screen: Screen,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="cdb|state",
            help="cdb: a Configuration Database for another provisioner; state: all of it, for "
            "this gateway on another machine.",
        ),
    ] = "cdb",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to; `-` is stdout; default: a file named after the mesh.",
        ),
    ] = None,
    no_device_keys: Annotated[
        bool,
        typer.Option(
            "--no-device-keys",
            help="For one who may hear and command nodes, but not configure them (cdb).",
        ),
    ] = False,
    move: Annotated[
        bool,
        typer.Option("--move", help="Give the mesh away: nothing is sent from here then (state)."),
    ] = False,
    mesh_id: MeshId = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")
    ] = False,
) -> int:
    """Write a mesh into a file: a Configuration Database, or its whole state with SEQ and IV."""
    from dunes.crypto.hardening import harden_process
    from dunes.gateway.exporting import Wish, export_mesh
    from dunes.gateway.store import MeshStore
    from dunes.settings import load
    from dunes.uplink.target import gateway_name

    wish = Wish(format_, output, not no_device_keys, move, force, dry_run)
    wish.check()
    if output == STDOUT and not dry_run:
        _check_stdout(screen)
    settings = load()
    harden_process()
    with MeshStore.open(settings, mesh_id or "", write=False):
        pass  # a mesh that is not here is said before a passphrase is asked for
    secret = given_passphrase(passphrase_file, passphrase_fd)
    identity = open_identity(screen, settings.paths, secret)
    with MeshStore.open(
        settings,
        mesh_id or "",
        write=move and not dry_run,
        identity=identity,
        holder="dunes mesh-export",
    ) as store:
        name = gateway_name(settings, identity.kid)
        report, content = export_mesh(store, name, wish)
    if output == STDOUT and not dry_run:
        screen.stdout.write(content.decode())
        screen.stdout.flush()
    else:
        screen.show(report, lines)
    for note in report.notes:
        screen.note(note)
    return Exit.OK


def _check_stdout(screen: Screen) -> None:
    """Refuse to show keys on a terminal, or to mix them with a report."""
    if screen.json:
        raise UsageError(
            "--json prints a report, and --output - the export: both go to stdout",
            hint="--output FILE",
        )
    if sys.stdout.isatty():
        raise UsageError(
            "the export holds keys: it is not shown on a terminal", hint="--output FILE"
        )


def lines(report: "ExportReport") -> Iterator[str]:
    """Say what was written."""
    from dunes.console.screen import printable

    verb = "would write" if report.dry_run else "wrote"
    what = "Configuration Database" if report.format == "cdb" else "whole state"
    yield f"{verb} the {what} of {report.mesh_id} to {printable(report.file)}"
    yield f"  nodes        {report.nodes}"
    yield f"  keys         {report.net_keys} network, {report.app_keys} application" + (
        ", of every device" if report.device_keys else ""
    )
    if report.moved:
        yield "  given away   " + ("would be" if report.dry_run else "nothing is sent from here")
